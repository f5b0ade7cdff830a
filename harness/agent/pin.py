"""A pin of the device, moved by writing to a file of the kernel.

``/sys/class/gpio/gpio17/value`` is such a file once the pin is exported and set to out
(Linux, Documentation/admin-guide/gpio/sysfs.rst); a character device or a FIFO of
one's own does as well.
"""

import os

from harness.errors import TargetError


class Pin:
    """A file that takes ``1`` and ``0``; an empty path is no pin."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def move(self, level: bytes) -> None:
        """Write a level. Raises TargetError where that cannot be done."""
        if not self._path:
            return
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY)
            os.write(self._descriptor, level)
        except OSError as error:
            raise TargetError(
                f"The pin cannot be moved: {error.strerror}",
                where=self._path,
                remedy="Export it, set its direction to out, and let this user write "
                "to it; or leave --pin out.",
            ) from error
