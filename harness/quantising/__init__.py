"""Quantising a user's model with onnxruntime's own tools, in a process of its own.

``python -m harness.quantising`` reads one order (`order`) from standard input and
answers with one line of JSON: the tools print as they like, and may take memory that
nothing else should have to share. Whether the result is any good is not judged here.
"""
