"""The C runner: the agent and the keeper of a device that has no Python.

Its source is in ``source/``, in C11 with nothing but libc; onnxruntime is loaded when
it runs. `build` compiles it and puts it together with that library and with a C library
and loader of its own, so that a board of any libc will do; `bundle` finds what was
built; `preparing` draws on the host what the runner cannot draw.
"""
