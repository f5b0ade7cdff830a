"""What executes a model: one small protocol, and onnxruntime behind it.

What it does not know: when a query is due, how long it took, and what that means.
Third-party packages but numpy are loaded when a runtime is opened, never on import.
"""
