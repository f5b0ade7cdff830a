"""Jetperch's Joulescope JS110 and JS220, through their maker's library.

There is no serial protocol: pyjoulescope_driver (PyPI, optional extra) speaks USB and
gives what it reads by publish and subscribe.
"""
