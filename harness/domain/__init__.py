"""The nouns: frozen, self-checking, free of I/O and of third-party packages.

An object that exists is valid: every class checks itself when it is made and
raises ValueError for what cannot be. Reading files into these nouns, with errors
made for people, is `harness.schema`'s job.

Import each noun from its own module; this package re-exports nothing.
"""
