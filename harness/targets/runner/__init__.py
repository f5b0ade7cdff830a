"""The C runner: the agent and the keeper of a device that has no Python.

Its source is in ``source/``, in C11 with nothing but libc; onnxruntime is loaded when
it runs. `build` compiles it, `bundle` puts it together with the library and, for boards
of any libc, with a loader of its own; `preparing` draws on the host what it cannot draw.
"""
