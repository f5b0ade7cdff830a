"""Memory of an emulated program, apart from that of the emulator around it.

QEMU keeps a 64-bit program's memory at the program's own addresses, below 2^40; its
own code, heap and translations lie where the host's kernel puts them, far above. So
the resident pages below are the program's. They are sampled, since the kernel's
high-water mark is of both together; an emulated program is so much slower than a real
one that a peak too short for a sample would be short indeed on a device.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from harness.domain.reading import ReadingBlock
from harness.targets.arm64.emulator import PROGRAM

METHOD = "smaps"
"""Source of the figure: the kernel's list of a process's mappings (proc(5))."""
_PROGRAMS_END = 1 << 40
_EVERY_S = 0.02
_KIB = 1024
_MAPPING = re.compile(r"^([0-9a-f]+)-[0-9a-f]+ ")
_RESIDENT = "Rss:"


def program_bytes(smaps: str) -> int:
    """Add up the resident pages of the emulated program, from the text of ``smaps``.

    0 where the emulator itself lies among them, as on a host with short addresses:
    then they cannot be told apart.
    """
    total, is_programs = 0, False
    for line in smaps.splitlines():
        mapping = _MAPPING.match(line)
        if mapping:
            is_programs = int(mapping.group(1), 16) < _PROGRAMS_END
            if is_programs and line.endswith(f"/{PROGRAM}"):
                return 0
        elif is_programs and line.startswith(_RESIDENT):
            total += int(line.split()[1]) * _KIB
    return total


class ProgramSampler:
    """Keeps the largest of the samples of one emulator process (`agentlife.Sampler`).

    It gives no readings: their times would be those of an emulator.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._smaps = Path(f"/proc/{pid}/smaps")

    def sample(self) -> bool:
        """Take one sample; False once the process is gone."""
        try:
            text = self._smaps.read_text()
        except OSError:
            return False
        self.peak_bytes = max(self.peak_bytes, program_bytes(text))
        return True

    def take(self) -> tuple[ReadingBlock, ...]:
        """Give no readings."""
        return ()


@contextmanager
def sampled(pid: int) -> Iterator[ProgramSampler]:
    """Sample a process while the context is open."""
    sampler, is_over = ProgramSampler(pid), Event()

    def go_on() -> None:
        while sampler.sample() and not is_over.wait(_EVERY_S):
            pass

    thread = Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        is_over.set()
        thread.join()
