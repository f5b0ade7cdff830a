"""What a workload does on networks that fail, held against a good one.

Rounds are the independent unit: in each, every network came once. A model that is all
on the device has to answer as on a good network, and about as fast; one that asks a
service has to answer by itself soon after the service is out of reach.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from statistics import fmean

import numpy as np

from harness.domain.estimate import Estimate, Withheld
from harness.domain.finding import Finding
from harness.domain.network import GOOD
from harness.domain.query import NetworkTried, Outcome
from harness.domain.record import RunRecord, TrialRecord
from harness.stats.group import (
    NETWORK_NOT_TRIED,
    SERVICE_NOT_THERE,
    TOO_FEW_QUERIES,
    Answer,
    Figure,
    Group,
)
from harness.stats.percentile import percentile_of_sorted
from harness.stats.series import Stream
from harness.stats.severity import finding
from harness.stats.tails import Shortfall, percentile_of_answers
from harness.stats.uncertainty import Reals, Term, between_runs
from harness.units import NS_PER_S

P90 = 0.90
SLOWDOWN_LIMIT = 1.1
"""What p90 on a failing network may be of that on a good one."""
FALLBACK_LIMIT_S = 1.0
"""How long an answer may take that the device has to give by itself."""
NAMES = ("network_success", "network_p90_ratio", "local_fallback_p90", "local_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One network in every round, and the good one in the same rounds."""

    network: str
    rounds: tuple[NetworkTried, ...]
    good: tuple[NetworkTried, ...]

    @property
    def condition(self) -> str:
        """Name the network, as figures taken on it do."""
        return f"network={self.network}"

    @property
    def queries(self) -> int:
        """Count what was answered."""
        return sum(len(one.latencies_ns) for one in self.rounds)


def tried_on(trials: Sequence[TrialRecord]) -> tuple[Tried, ...]:
    """Gather the rounds of each network, the good one first."""
    rounds = [one for trial in trials for one in trial.networks]
    names = dict.fromkeys((GOOD, *sorted({one.network.name for one in rounds})))
    good = tuple(one for one in rounds if one.network.name == GOOD)
    return tuple(
        Tried(
            network=name,
            rounds=tuple(one for one in rounds if one.network.name == name),
            good=good,
        )
        for name in names
        if rounds
    )


def network_answers(group: Group) -> Iterator[Answer]:
    """Give the figures of every network; nothing where none was tried."""
    tried = tried_on(group.trials)
    is_hybrid = bool(group.model.services)
    if tried and is_hybrid and not _is_served(tried):
        for name in NAMES:
            yield group.withhold(name, SERVICE_NOT_THERE)
        return
    for one in tried:
        if is_hybrid:
            yield group.estimate("local_share", _local_share(one))
        if one.network == GOOD:
            continue
        success = _success(one)
        if success is None:
            yield group.withhold(
                "network_success", NETWORK_NOT_TRIED, condition=one.condition
            )
            continue
        yield group.estimate("network_success", success)
        yield from _fallback(group, one) if is_hybrid else _slowdown(group, one)


def _is_served(tried: Sequence[Tried]) -> bool:
    """Say whether the service answered on the good network more often than not."""
    good = tried[0].rounds
    asked = sum(len(one.latencies_ns) for one in good)
    return 2 * sum(len(one.fell_back) for one in good) < asked


def _success(tried: Tried) -> Figure | None:
    """Give answers that were right over those asked for, over the same on the good.

    A count of what was tried, without a spread. None where nothing was answered on
    the good network either.
    """
    shares = [_share_right(rounds, tried.good) for rounds in (tried.rounds, tried.good)]
    if not shares[1]:
        return None
    return Figure(
        value=shares[0] / shares[1],
        terms=(Term(u=0.0),),
        lower=shares[0] / shares[1],
        runs=len(tried.rounds),
        queries=tried.queries,
        method="answered rightly over asked, over the same on the good network: counts",
        condition=tried.condition,
    )


def _share_right(rounds: Sequence[NetworkTried], good: Sequence[NetworkTried]) -> float:
    """Give the share of queries answered, and answered as on the good network.

    A process that ended before its time left one query unanswered. Where outputs are
    others than on the good network, none of that round counts as right.
    """
    usual = {one.outputs_sha256 for one in good}
    right = asked = 0
    for one in rounds:
        answered = len(one.latencies_ns)
        asked += answered + (one.outcome is not Outcome.DONE)
        is_right = one.outputs_sha256 in usual or one.outcome is not Outcome.DONE
        right += answered if is_right and not one.differing else 0
    return right / asked if asked else 0.0


def _slowdown(group: Group, tried: Tried) -> Iterator[Answer]:
    """Give p90 over that on the good network, round by round."""
    name = "network_p90_ratio"
    pairs = [
        log(_p90(one) / _p90(good))
        for one, good in zip(tried.rounds, tried.good, strict=False)
        if one.latencies_ns and good.latencies_ns
    ]
    if len(pairs) < 2:  # noqa: PLR2004 - a spread needs two
        yield group.withhold(
            name, TOO_FEW_QUERIES, observed=tried.queries, condition=tried.condition
        )
        return
    spread = between_runs(pairs)
    value = exp(spread.value)
    yield group.estimate(
        name,
        Figure(
            value=value,
            terms=(spread.term.times(value),),
            lower=exp(spread.lower),
            upper=exp(spread.upper),
            runs=len(pairs),
            queries=tried.queries,
            method=f"p90 over that on the good network of the same round, geometric "
            f"mean of {len(pairs)} rounds, Student t",
            condition=tried.condition,
        ),
    )


def _p90(tried: NetworkTried) -> float:
    return percentile_of_sorted(np.sort(_seconds(tried)), P90)


def p90_s(tried: Tried) -> float | None:
    """Give the mean over rounds of p90; None where nothing was answered."""
    found = [_p90(one) for one in tried.rounds if one.latencies_ns]
    return fmean(found) if found else None


def _seconds(tried: NetworkTried) -> Reals:
    return np.asarray(tried.latencies_ns, dtype=np.float64) / NS_PER_S


def fallbacks_s(tried: Tried) -> list[Reals]:
    """Give the latencies of queries that the device answered by itself, by round."""
    return [_seconds(one)[list(one.fell_back)] for one in tried.rounds]


def _fallback(group: Group, tried: Tried) -> Iterator[Answer]:
    """Give p90 of the answers that the device gave by itself; nothing for none."""
    streams = [Stream(found) for found in fallbacks_s(tried) if len(found)]
    if not streams:
        return
    found = percentile_of_answers(streams, P90)
    if isinstance(found, Shortfall):
        yield group.withhold(
            "local_fallback_p90",
            TOO_FEW_QUERIES,
            needed=found.needed,
            observed=found.observed,
            condition=tried.condition,
        )
        return
    said = f"{found.method}; of answers for which the service was asked in vain"
    yield group.estimate(
        "local_fallback_p90", replace(found, condition=tried.condition, method=said)
    )


def _local_share(tried: Tried) -> Figure:
    """Give the share of answers for which the service was asked in vain."""
    fell_back = sum(len(one.fell_back) for one in tried.rounds)
    return Figure(
        value=fell_back / tried.queries if tried.queries else 0.0,
        terms=(Term(u=0.0),),
        runs=len(tried.rounds),
        queries=tried.queries,
        method="answers for which the service was asked in vain, over all; a count",
        condition=tried.condition,
    )


def check_networks(group: Group) -> Iterator[Finding]:
    """Say of each failing network whether the workload went on as on the good one."""
    tried = tried_on(group.trials)
    if not tried:
        return
    answers = list(network_answers(group))
    if any(getattr(one, "reason", "") == SERVICE_NOT_THERE for one in answers):
        yield finding(
            "network-unchecked",
            group.workload,
            detail="its service did not answer on the good network either",
        )
        return
    for one in tried[1:]:
        code, detail = _verdict(answers, one)
        yield finding(
            code,
            group.workload,
            condition=one.network,
            detail=detail,
            means=one.rounds[0].method,
        )


def _verdict(answers: Sequence[Answer], tried: Tried) -> tuple[str, str]:
    """Give the finding's code, and the figures that it rests on."""
    found = {
        one.measurand.name: one
        for one in answers
        if isinstance(one, Estimate) and one.condition == tried.condition
    }
    success = found.get("network_success")
    if success is None:
        return "network-unsettled", "nothing was answered on the good network"
    said = [f"success {success.value:.4g} of the good network's"]
    verdicts = [success.value >= 1.0]
    limits = {
        "network_p90_ratio": SLOWDOWN_LIMIT,
        "local_fallback_p90": FALLBACK_LIMIT_S,
    }
    is_settled = True
    for name, limit in limits.items():
        estimate = found.get(name)
        if estimate is None:
            continue
        low, high = estimate.lower_bound, estimate.upper_bound
        verdicts.append(low is None or low <= limit)
        is_settled &= high is not None and high <= limit
        said.append(f"{name} {estimate.value:.3g}, at most {high or 0:.3g}")
    is_open = any(
        isinstance(one, Withheld) and one.condition == tried.condition
        for one in answers
    )
    if not all(verdicts):
        return "network-broken", "; ".join(said)
    if not is_settled or is_open:
        return "network-unsettled", "; ".join(said)
    return "network-kept", "; ".join(said)


def check_services(record: RunRecord) -> Iterator[Finding]:
    """Say of each finished trial how often its services were asked in vain."""
    for trial in record.trials:
        for asked in trial.services:
            if not asked.fell_back_ns:
                continue
            faults = ", ".join(f"{why}: {n}" for why, n in asked.faults.items())
            yield finding(
                "service-fell-back",
                trial.trial.id,
                trial.trial.arm,
                condition=asked.stage,
                queries=len(asked.fell_back_ns),
                detail=faults,
            )
