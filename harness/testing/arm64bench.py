"""Whether an arm64 processor can be emulated here, for tests that skip where not."""

from functools import cache

from harness.errors import HarnessError
from harness.targets.arm64.readiness import require_ready


@cache
def why_not() -> str:
    """Say what is missing and what to do about it; empty: nothing is."""
    try:
        require_ready()
    except HarnessError as error:
        return error.sentence()
    return ""
