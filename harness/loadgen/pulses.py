"""Pulses of load that make a mark in a power trace: schedules, pure and seeded.

A device that cannot move a pin can still be seen to work and to rest. Before and
after a run it works and rests after a maximum-length sequence, which looks like
nothing but itself when shifted (S. W. Golomb, Shift Register Sequences, 1967, section
3), and logs its own clock at each edge. `harness.stats.alignment` finds the marks in
the trace and relates the two clocks. The mark after the run is not a luxury: crystals
of meters run off by 100 parts in a million, 6 ms in a minute.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, pairwise

from harness.domain.plan import Pulses
from harness.units import NS_PER_S

LEAST_CHIP_NS = 20_000_000
"""Shorter ones drown in the rise of a supply and of a governor."""
_READINGS_PER_CHIP = 10
_READINGS_PER_SLOW_CHIP = 5
_DENSE_STEP_NS, _SLOW_STEP_NS = NS_PER_S // 500, NS_PER_S // 20
"""Intervals between readings: up to the first an edge is seen well, and few do; from
the second on even the short sequence takes long."""
_QUIET_CHIPS = 3


class Sequence(Enum):
    """A maximum-length sequence: order of its register, and where that is tapped.

    s(n + order) = s(n) ⊕ s(n + tap); it has 2^order - 1 chips, one more of them busy
    than idle.
    """

    PN15 = (4, 1)
    PN31 = (5, 2)
    PN63 = (6, 1)

    @property
    def length(self) -> int:
        """Number of chips."""
        return int(2 ** self.value[0] - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Pulses of load on the host's clock in ns: pulse k lasts from rise k to fall k.

    Raises ValueError where edges do not take turns, or where there is none.
    """

    rises_ns: tuple[int, ...]
    falls_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.rises_ns or len(self.rises_ns) != len(self.falls_ns):
            raise ValueError("a burst needs pulses, each with a rise and a fall")
        if any(later <= earlier for earlier, later in pairwise(self.edges_ns)):
            raise ValueError("the edges of a burst must follow each other in time")

    @property
    def edges_ns(self) -> tuple[int, ...]:
        """All edges in order, the first a rise."""
        pairs = zip(self.rises_ns, self.falls_ns, strict=True)
        return tuple(edge for pair in pairs for edge in pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseTrain:
    """The bursts of one run, oldest first: usually one before it and one after.

    Raises ValueError for a train without a burst, or bursts out of order.
    """

    bursts: tuple[Burst, ...]

    def __post_init__(self) -> None:
        if not self.bursts:
            raise ValueError("a train needs a burst")
        for earlier, later in pairwise(self.bursts):
            if later.rises_ns[0] <= earlier.falls_ns[-1]:
                raise ValueError("the bursts of a train must follow each other in time")


@dataclass(frozen=True, slots=True, kw_only=True)
class PulsePlan:
    """Which pulses to make: the sequence, how long a chip lasts, and where it begins.

    `seed` turns the sequence round, so that marks of neighbouring runs differ.
    """

    sequence: Sequence
    chip_ns: int
    seed: int

    @classmethod
    def of(cls, planned: Pulses) -> "PulsePlan":
        """Read what a trial asks for. Raises ValueError for an unknown length."""
        for sequence in Sequence:
            if sequence.length == planned.chips:
                return cls(
                    sequence=sequence, chip_ns=planned.chip_ns, seed=planned.seed
                )
        raise ValueError(f"there is no sequence of {planned.chips} chips")

    def planned(self) -> Pulses:
        """Write it as a trial asks for it."""
        return Pulses(chips=self.sequence.length, chip_ns=self.chip_ns, seed=self.seed)

    @property
    def quiet_ns(self) -> int:
        """How long to rest before the first pulse and after the last one."""
        return _QUIET_CHIPS * self.chip_ns

    @property
    def duration_ns(self) -> int:
        """How long one burst takes, with the rests around it."""
        return self.sequence.length * self.chip_ns + 2 * self.quiet_ns

    def preamble(self, start_ns: int) -> Burst:
        """Schedule the pulses before a run; `start_ns` is where its rest begins."""
        chips = m_sequence(self.sequence, self.seed)
        return burst_of(chips, self.chip_ns, start_ns + self.quiet_ns)

    def postamble(self, start_ns: int) -> Burst:
        """Schedule the pulses after a run: the preamble's, backwards.

        Backwards a maximum-length sequence is another one, so that the two marks
        cannot be taken for each other.
        """
        chips = m_sequence(self.sequence, self.seed)[::-1]
        return burst_of(chips, self.chip_ns, start_ns + self.quiet_ns)


def plan_pulses(step_ns: int, seed: int) -> PulsePlan:
    """Choose pulses that a meter with a reading every `step_ns` can resolve.

    ==============  =====  =================  ===========================
    interval        chips  readings per chip  time of a burst, with rests
    ==============  =====  =================  ===========================
    up to 2 ms      31     10, and 20 ms      0.74 s
    between         63     10, and 20 ms      6.9 s at 10 ms
    50 ms and more  15     5                  10.5 s at 100 ms
    ==============  =====  =================  ===========================

    Raises ValueError for an interval that is not positive.
    """
    if step_ns <= 0:
        raise ValueError("readings need an interval")
    if step_ns >= _SLOW_STEP_NS:
        chip_ns = _READINGS_PER_SLOW_CHIP * step_ns
        return PulsePlan(sequence=Sequence.PN15, chip_ns=chip_ns, seed=seed)
    sequence = Sequence.PN31 if step_ns <= _DENSE_STEP_NS else Sequence.PN63
    chip_ns = max(_READINGS_PER_CHIP * step_ns, LEAST_CHIP_NS)
    return PulsePlan(sequence=sequence, chip_ns=chip_ns, seed=seed)


def m_sequence(sequence: Sequence, seed: int) -> tuple[bool, ...]:
    """Give the chips of a maximum-length sequence, busy as True.

    The register starts with 1 + seed mod (2^order - 1), never with zero.

    >>> sum(m_sequence(Sequence.PN15, 0))
    8
    """
    order, tap = sequence.value
    state = 1 + seed % sequence.length
    chips = []
    for _ in range(sequence.length):
        chips.append(bool(state & 1))
        fed_back = (state ^ state >> tap) & 1
        state = state >> 1 | fed_back << (order - 1)
    return tuple(chips)


def burst_of(chips: Iterable[bool], chip_ns: int, start_ns: int) -> Burst:
    """Turn chips into pulses: neighbouring busy chips make one pulse.

    Raises ValueError where no chip is busy.
    """
    rises, falls, at_ns = [], [], start_ns
    for is_busy, group in groupby(chips):
        end_ns = at_ns + chip_ns * len(list(group))
        if is_busy:
            rises.append(at_ns)
            falls.append(end_ns)
        at_ns = end_ns
    return Burst(rises_ns=tuple(rises), falls_ns=tuple(falls))
