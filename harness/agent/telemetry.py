"""Memory of this very process, from the kernel's own account of it.

The peak is the kernel's high-water mark (VmHWM in /proc/self/status, proc(5)), never
a poll: a poll misses short peaks. Writing 5 to /proc/self/clear_refs sets the mark
back to what is resident now. Elsewhere than on Linux the mark is getrusage(2)'s, which
cannot be set back.
"""

import gc
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.domain.query import MemoryMeasured

_RESET_HIGH_WATER_MARK = "5"
_KIB = 1024


@dataclass(slots=True)
class MemoryWatch:
    """Memory at the four moments of a trial, in bytes; None: not read."""

    baseline_bytes: int | None = None
    loaded_bytes: int | None = None
    peak_bytes: int | None = None
    pss_bytes: int | None = None
    retained_bytes: int | None = None
    is_reset: bool = False

    def before_load(self) -> None:
        """Take the baseline, with the high-water mark set back to it."""
        gc.collect()
        self.is_reset = reset_peak()
        self.baseline_bytes = resident_bytes()

    def after_load(self) -> None:
        """Take what is resident with the model ready."""
        self.loaded_bytes = resident_bytes()

    def after_queries(self) -> None:
        """Take the peak, and the proportional set with the model still there."""
        self.peak_bytes = peak_bytes()
        self.pss_bytes = proportional_bytes()

    def after_dispose(self) -> None:
        """Take what stays resident once the model is let go."""
        gc.collect()
        self.retained_bytes = resident_bytes()

    def report(self, trial: str) -> MemoryMeasured:
        """Give the account as an event."""
        return MemoryMeasured(
            trial=trial,
            method=peak_method(),
            baseline_bytes=self.baseline_bytes,
            loaded_bytes=self.loaded_bytes,
            peak_bytes=self.peak_bytes,
            retained_bytes=self.retained_bytes,
            pss_bytes=self.pss_bytes,
        )


def peak_method() -> str:
    """Name the source of the peak."""
    return "VmHWM" if sys.platform == "linux" else "ru_maxrss"


def reset_peak() -> bool:
    """Set the high-water mark back to what is resident; False where it cannot be."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_HIGH_WATER_MARK)
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """Read the high-water mark of the resident set."""
    if sys.platform == "linux":
        return _kib_of("/proc/self/status", "VmHWM:")
    mark = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return mark if sys.platform == "darwin" else mark * _KIB


def resident_bytes() -> int | None:
    """Read the resident set as it is now; None where the kernel does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def proportional_bytes() -> int | None:
    """Read the proportional set: pages shared with others count in part."""
    return _kib_of("/proc/self/smaps_rollup", "Pss:")


def _kib_of(path: str, key: str) -> int | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(key):
            return int(line.split()[1]) * _KIB
    return None
