"""A workload on failing networks as the page shows it: one line a network."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.domain.assessment import Assessment
from harness.domain.estimate import Estimate
from harness.domain.network import Network
from harness.domain.record import TrialRecord
from harness.stats.networks import Tried, fallbacks_s, p90_s, tried_on
from harness.units import NS_PER_S

_FINDING = "network-"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLine:
    """What was seen on one network."""

    name: str
    treatment: str
    """Loss, delay and rhythm, as recorded."""
    answered: int
    p90_s: float | None
    success: Estimate | None
    slowdown: Estimate | None
    local_share: Estimate | None
    fallback: Estimate | None
    longest_fallback_s: float | None
    answer: str
    """``kept``, ``broken``, ``unsettled``; empty of the good network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworksView:
    """All networks that a workload was tried on."""

    lines: tuple[NetworkLine, ...]
    is_hybrid: bool
    rounds: int
    method: str


def networks_view(
    assessment: Assessment, workload: str, trials: Sequence[TrialRecord]
) -> NetworksView | None:
    """Prepare the networks of a workload of the device; None where none was tried."""
    tried = tried_on(trials)
    if not tried:
        return None
    return NetworksView(
        lines=tuple(_line(one, assessment, workload) for one in tried),
        is_hybrid=any(trial.services for trial in trials),
        rounds=max(len(one.rounds) for one in tried),
        method=next(one.rounds[0].method for one in tried if one.rounds),
    )


def _line(tried: Tried, assessment: Assessment, workload: str) -> NetworkLine:
    latest = [float(found.max()) for found in fallbacks_s(tried) if len(found)]
    codes = [
        found.code.removeprefix(_FINDING)
        for found in assessment.findings
        if found.code.startswith(_FINDING)
        and found.subject == workload
        and found.values.get("condition") == tried.network
    ]
    figures = {
        one.measurand.name: one
        for one in assessment.estimates
        if one.workload == workload and one.condition == tried.condition
    }
    return NetworkLine(
        name=tried.network,
        treatment=treatment(tried.rounds[0].network) if tried.rounds else "",
        answered=tried.queries,
        p90_s=p90_s(tried),
        success=figures.get("network_success"),
        slowdown=figures.get("network_p90_ratio"),
        local_share=figures.get("local_share"),
        fallback=figures.get("local_fallback_p90"),
        longest_fallback_s=max(latest, default=None),
        answer=codes[0] if codes else "",
    )


def treatment(network: Network) -> str:
    """Say in numbers what a network does to packets."""
    parts = []
    if network.loss:
        parts.append(f"{100 * network.loss:g} %")
    if network.delay_ns:
        delay, jitter = (
            n * 1000 / NS_PER_S for n in (network.delay_ns, network.jitter_ns)
        )
        parts.append(f"{delay:g} ± {jitter:g} ms")
    if network.period_ns:
        up, down = (n / NS_PER_S for n in (network.up_ns, network.down_ns))
        parts.append(f"{up:g} s / {down:g} s")
    return ", ".join(parts)
