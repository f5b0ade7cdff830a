"""A record → every figure that it supports, and a reason for each that it does not."""

from collections.abc import Iterator

from harness.domain.estimate import Estimate, Withheld
from harness.domain.plan import Arm
from harness.domain.record import RunRecord
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    Periodic,
    Server,
    Sustained,
)
from harness.stats.accuracy import accuracy_answers
from harness.stats.decodecost import ENERGY, context_memory, token_energy
from harness.stats.energy import as_read, energy_answers, energy_names
from harness.stats.group import (
    NO_TIME_STAMPS,
    NOT_TIMED,
    TRIAL_FAILED,
    Answer,
    Group,
    groups_of,
)
from harness.stats.instructions import OWN, instruction_answers
from harness.stats.languages import language_answers
from harness.stats.latency import PERCENTILES, latency_answers
from harness.stats.memory import file_size, memory_answers
from harness.stats.misses import miss_answer
from harness.stats.modelled import with_model_error
from harness.stats.networks import network_answers
from harness.stats.server import server_answer
from harness.stats.stages import stage_answers
from harness.stats.sustained import sustained_answers, sustained_talk
from harness.stats.wakewords import wakeword_answers


def estimate(
    record: RunRecord,
) -> tuple[tuple[Estimate, ...], tuple[Withheld, ...]]:
    """Give the estimates of a record and the figures withheld, in the plan's order.

    Grouped by arm, workload and kind of scenario; only trials that were carried out
    count. The host arm gives latencies, memory and file size for reference.
    """
    pairs = [(group, one) for group in groups_of(record) for one in _answers(group)]
    answers = [one for _, one in pairs]
    estimates = tuple(
        with_model_error(as_read(one, group), group)
        for group, one in pairs
        if isinstance(one, Estimate)
    )
    withheld = tuple(found for found in answers if isinstance(found, Withheld))
    return estimates, withheld


def _answers(group: Group) -> Iterator[Answer]:
    yield file_size(group)
    if not group.is_timed:
        yield from _answers_without_time(group)
        return
    if not group.trials:
        yield from (group.withhold(name, TRIAL_FAILED) for name in _expected(group))
        return
    yield from _times(group)
    yield from stage_answers(group)
    yield from memory_answers(group)
    yield from accuracy_answers(group)
    yield from language_answers(group)
    yield from network_answers(group)
    if group.arm is Arm.HOST:
        return
    match group.scenario:
        case Server():
            yield server_answer(group, group.scenario)
        case ColdStart():
            return
        case Periodic():
            yield miss_answer(group, group.scenario)
            yield from wakeword_answers(group)
            yield from energy_answers(group)
        case LlmDecode() as scenario:
            yield context_memory(group)
            yield from token_energy(group, scenario)
        case LlmSustained():
            yield from sustained_talk(group)
        case Sustained():
            yield from sustained_answers(group)
            yield from energy_answers(group)
        case _:
            yield from energy_answers(group)


def _times(group: Group) -> Iterator[Answer]:
    if _tells_no_time(group):
        names = ("latency_mean", *PERCENTILES, "throughput")
        yield from (group.withhold(name, NO_TIME_STAMPS) for name in names)
    else:
        yield from latency_answers(group)


def _tells_no_time(group: Group) -> bool:
    """Say whether a device in energy mode marked its windows for a meter alone."""
    return all(trial.marked is not None for trial in group.trials)


def _answers_without_time(group: Group) -> Iterator[Answer]:
    """Give what a target without time can answer, and name what it cannot.

    Nothing is looked for among queries or readings, whatever the record holds.
    """
    if group.trials:
        yield from instruction_answers(group)
        yield from memory_answers(group)
        yield from accuracy_answers(group)
        yield from language_answers(group)
    else:
        yield group.withhold(OWN, TRIAL_FAILED)
    yield from (group.withhold(name, NOT_TIMED) for name in _expected(group))


def _expected(group: Group) -> tuple[str, ...]:
    """Name the figures that a group without a finished trial owes."""
    is_host = group.arm is Arm.HOST
    if isinstance(group.scenario, LlmDecode):
        own = ("ttft_mean", "ttft_p90", "tpot_mean", "output_rate")
        return own if is_host else (*own, *ENERGY)
    if isinstance(group.scenario, LlmSustained):
        return ("sustained_ratio", "output_rate")
    if is_host:
        return ("latency_mean", *PERCENTILES, "peak_rss", "model_memory")
    return _expected_of_device(group)


def _expected_of_device(group: Group) -> tuple[str, ...]:
    match group.scenario:
        case Server():
            return ("server_rate",)
        case ColdStart():
            return ("cold_start_p90",)
        case Sustained():
            return ("sustained_ratio", "throughput", *energy_names(group))
        case Periodic():
            misses = ("latency_mean", *PERCENTILES, "deadline_miss_ratio")
            return (*misses, *energy_names(group))
        case _:
            own = ("latency_mean", *PERCENTILES, "throughput")
            return (*own, *energy_names(group))
