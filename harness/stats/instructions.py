"""Instructions per inference of an emulated processor, from whole processes' counts.

What a process takes to start, to load the model and to end cancels in the difference
of two counts; what is left is that of inferences alone. A count is a figure of its own
and of nothing else: no time, power or energy is ever derived from it.
"""

from collections.abc import Iterator, Sequence
from statistics import median, stdev

from harness.domain.counting import InstructionsCounted
from harness.stats.group import Answer, Figure, Group
from harness.stats.uncertainty import Term

OWN, PARENT = "instructions_per_inference", "instructions_per_inference_parent"
NOT_COUNTED = "not-counted"


def instruction_answers(group: Group) -> Iterator[Answer]:
    """Give instructions per inference, for each processor that was emulated.

    The median over all rounds of all runs. u is the standard deviation of a round: how
    far a count that is taken again may lie off.
    """
    found: dict[tuple[str, str], list[InstructionsCounted]] = {}
    for trial in group.trials:
        for counted in trial.counted:
            is_own = counted.model == group.model.name
            name = OWN if is_own else PARENT
            found.setdefault((name, counted.processor), []).append(counted)
    for (name, processor), events in found.items():
        yield group.estimate(name, _figure(events, processor))
    if not any(name == OWN for name, _ in found):
        yield group.withhold(OWN, NOT_COUNTED)


def per_inference(counted: InstructionsCounted) -> list[float]:
    """Give (C(more) - C(fewer)) / (more - fewer) of each round."""
    inferences = counted.more - counted.fewer
    pairs = zip(counted.counts_fewer, counted.counts_more, strict=True)
    return [(more - fewer) / inferences for fewer, more in pairs]


def _figure(events: Sequence[InstructionsCounted], processor: str) -> Figure:
    rounds = [value for counted in events for value in per_inference(counted)]
    terms = []
    if len(rounds) > 1:
        terms.append(Term(u=stdev(rounds), freedom=len(rounds) - 1))
    first = events[0]
    return Figure(
        value=median(rounds),
        terms=tuple(terms),
        runs=len(events),
        queries=len(rounds) * (first.more - first.fewer),
        method=f"median of {len(rounds)} differences of processes of {first.fewer} and "
        f"{first.more} inferences; no time follows from it",
        condition=f"processor={processor}",
    )
