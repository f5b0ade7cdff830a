"""Memory from the kernel's own account."""

import sys

import numpy as np
import pytest

from harness.agent.telemetry import MemoryWatch, peak_bytes, reset_peak, resident_bytes

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MIB = 1024**2


@ON_LINUX
def test_the_high_water_mark_holds_a_peak_that_is_over() -> None:
    watch = MemoryWatch()

    watch.before_load()
    watch.after_load()
    np.ones(64 * MIB, np.int8).sum()
    watch.after_queries()
    watch.after_dispose()

    report = watch.report("t")
    assert report.method == "VmHWM"
    assert report.baseline_bytes is not None
    assert report.peak_bytes is not None
    assert report.retained_bytes is not None
    assert report.peak_bytes - report.baseline_bytes > 60 * MIB
    assert report.peak_bytes - report.retained_bytes > 50 * MIB


@ON_LINUX
def test_a_peak_from_before_the_load_is_not_billed_to_the_model() -> None:
    np.ones(64 * MIB, np.int8).sum()
    if not reset_peak():
        pytest.skip("this kernel does not let the mark be reset")

    peak, resident = peak_bytes(), resident_bytes()

    assert peak is not None
    assert resident is not None
    assert peak - resident < 30 * MIB
