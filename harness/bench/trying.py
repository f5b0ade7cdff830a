"""A workload on networks that fail, held against a good one; on this machine only.

In each round every network comes once, in an order by lot, so that a drift of the
machine falls on all of them. Each time the agent is a fresh process in a namespace
made for it (`harness.bench.impaired`).
"""

import hashlib
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from harness.bench.impaired import FAR, METHOD, PROBE, Setting
from harness.bench.servicegate import service_gate
from harness.clock import SystemClock
from harness.domain.finding import Finding, Severity
from harness.domain.network import NETWORKS, Network
from harness.domain.plan import Arm, Minimum, Plan, Trial
from harness.domain.query import (
    NetworkTried,
    Outcome,
    OutputsChecked,
    Phase,
    QueryBlock,
    ServiceAsked,
    TrialEnded,
)
from harness.domain.scenario import LlmDecode, Periodic, Scenario, SingleStream
from harness.domain.workload import BuiltStage, ModelArtifact, Remote
from harness.errors import ExitCode
from harness.loadgen.wire import Order, Task
from harness.meters.process import sampled
from harness.planning import EMULATED, LOCAL
from harness.targets.agentlife import COMMAND, Place, live
from harness.targets.apart import available_cores, clean_environment, share_cores
from harness.targets.local import HANG_AFTER_S, runtime_opener
from harness.targets.performing import longest_silence_s
from harness.units import NS_PER_S

IMPAIRED = (*COMMAND[:-1], "harness.bench.impaired")
_ROUNDS = {"rapid": 3, "quick": 3}
_ROUNDS_OF_LONG_PRESETS = 5
_WINDOW_NS = {"rapid": 2 * NS_PER_S}
_USUAL_WINDOW_NS = 4 * NS_PER_S
_PERIOD_NS = 20_000_000
"""Between two queries of a model on the device: a frame at 50 Hz."""
_LEAST_QUERIES = 32
"""The 95 % bound of a p90 needs 29."""
_PROMPT_TOKENS, _OUTPUT_TOKENS = 32, 16
_PROBE_S = 30.0
_PROCESS_S = 1.5
"""Expected cost of a process beside its window; for the time shown only."""
_FIRST_PORT = 8001


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gate:
    """The way to a service: a port on the far side, and the Unix socket behind it."""

    port: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """Tries the workloads of a plan, each after its first trial with a window."""

    plan: Plan
    paths: Mapping[str, Path]
    """Model name → file on this host."""
    samples: Mapping[str, Path]
    command: tuple[str, ...] = IMPAIRED
    networks: tuple[Network, ...] = NETWORKS
    done: set[str] = field(default_factory=set)
    """Workloads that were tried to the end."""

    def events(self, trial: Trial) -> Iterator[NetworkTried]:
        """Try the trial's workload; nothing after most trials.

        Raises KeyboardInterrupt after a Ctrl-C.
        """
        if trial.id not in tried_after(self.plan):
            return
        model = self.plan.model(trial.model)
        with (
            tempfile.TemporaryDirectory(prefix="duanping-") as folder,
            ExitStack() as stack,
        ):
            gates = _gates(model.services, Path(folder))
            for (host, port), gate in gates.items():
                stack.enter_context(service_gate(gate.path, host, port))
            order = replace(
                self._order(trial, model), stages=_by_way_of(model.stages, gates)
            )
            ways = tuple((gate.port, str(gate.path)) for gate in gates.values())
            for number in range(1, self._rounds + 1):
                seed = _seed(trial, number)
                lot = np.random.default_rng(seed).permutation(len(self.networks))
                for place in lot:
                    network = self.networks[place]
                    setting = Setting(network=network, seed=seed, gates=ways)
                    yield self._tried(order, setting, number)
        self.done.add(trial.workload)

    @property
    def expected_seconds(self) -> float:
        """Say about how long all of it takes; for people, not for judging."""
        lengths = (self._window_ns(network) for network in self.networks)
        each_s = sum(length / NS_PER_S + _PROCESS_S for length in lengths)
        return len(tried_after(self.plan)) * self._rounds * each_s

    @property
    def _rounds(self) -> int:
        return _ROUNDS.get(self.plan.preset.name, _ROUNDS_OF_LONG_PRESETS)

    def _tried(self, order: Order, setting: Setting, number: int) -> NetworkTried:
        trial = self._on(setting.network, order)
        heard = _Heard()
        for event in live(replace(order, trial=trial), self._place(trial, setting)):
            heard.take(event)
        latencies, fell_back = heard.queries()
        if heard.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        return NetworkTried(
            trial=trial.id,
            network=setting.network,
            round=number,
            method=METHOD,
            seed=setting.seed,
            latencies_ns=latencies,
            fell_back=fell_back,
            outcome=heard.outcome,
            reason=heard.reason,
            # of a language model it is that of the last answers, however many came
            outputs_sha256="" if order.decoder else heard.sha256,
            differing=heard.differing,
        )

    def _order(self, trial: Trial, model: ModelArtifact) -> Order:
        samples = self.samples.get(model.name)
        return Order(
            task=Task.MEASURE,
            trial=trial,
            runtime=runtime_opener(trial.settings.runtime),
            model_path=str(self.paths[model.name].absolute()),
            sha256=model.sha256,
            inputs=model.inputs,
            external=model.external,
            decoder=model.decoder,
            samples_path=str(samples.absolute()) if samples else None,
        )

    def _on(self, network: Network, order: Order) -> Trial:
        """Make the trial on one network: long enough for it to come and go once."""
        window_ns = self._window_ns(network)
        scenario, queries = _asked(order, window_ns)
        return replace(
            order.trial,
            scenario=scenario,
            run=2,  # a first run would look for a memory afterwards
            warm_up=Minimum(queries=2, duration_ns=0),
            minimum=Minimum(queries=queries, duration_ns=window_ns),
            baseline_ns=0,
            is_scored=False,
            pulses=None,
        )

    def _window_ns(self, network: Network) -> int:
        usual_ns = _WINDOW_NS.get(self.plan.preset.name, _USUAL_WINDOW_NS)
        return max(usual_ns, network.period_ns)

    def _place(self, trial: Trial, setting: Setting) -> Place:
        clock = SystemClock()
        threads = trial.settings.intra_op_threads
        model_cores, other_cores = share_cores(available_cores(), threads)
        return Place(
            clock=clock,
            command=(*self.command, setting.text()),
            environment=clean_environment(threads),
            model_cores=model_cores,
            sampled=partial(sampled, clock=clock, cores=other_cores),
            silence_s=HANG_AFTER_S + longest_silence_s(trial),
        )


class _Heard:
    """What one agent said, as far as it matters here."""

    def __init__(self) -> None:
        self.outcome = Outcome.CRASHED
        self.reason = ""
        self.sha256 = ""
        self.differing = 0
        self._times: list[tuple[int, int]] = []
        self._fell_back_ns: list[int] = []

    def take(self, event: object) -> None:
        match event:
            case QueryBlock(phase=Phase.MEASURED):
                self._times += zip(event.issued_ns, event.completed_ns, strict=True)
            case ServiceAsked():
                self._fell_back_ns += event.fell_back_ns
            case OutputsChecked():
                self.sha256 = event.sha256
                self.differing = event.differing + event.non_finite
            case TrialEnded():
                self.outcome, self.reason = event.outcome, event.reason
            case _:
                pass  # memory and overhead of a process that is not looked at for them

    def queries(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Give latencies in ns, and the places of those that fell back."""
        times = np.array(self._times, dtype=np.int64).reshape(-1, 2)
        at_ns = np.sort(np.array(self._fell_back_ns, dtype=np.int64))
        first = np.searchsorted(at_ns, times[:, 0], side="left")
        after = np.searchsorted(at_ns, times[:, 1], side="right")
        latencies = (times[:, 1] - times[:, 0]).tolist()
        return tuple(latencies), tuple(np.flatnonzero(after > first).tolist())


def tried_after(plan: Plan) -> dict[str, str]:
    """Give trial → workload: the first trial of each that this machine can try."""
    found: dict[str, str] = {}
    for trial in plan.trials:
        is_here = trial.arm is Arm.DEVICE and trial.target == LOCAL
        has_window = isinstance(trial.scenario, SingleStream | Periodic | LlmDecode)
        if is_here and has_window and trial.workload not in found.values():
            found[trial.id] = trial.workload
    return found


def untried(plan: Plan, reason: str, done: Collection[str]) -> Iterator[Finding]:
    """Say of each workload that is not among those `done` why.

    `reason` is why nothing can be tried on this machine; empty: it can.
    """
    triable = set(tried_after(plan).values())
    targets = {t.workload: t.target for t in plan.trials if t.arm is Arm.DEVICE}
    for workload, target in targets.items():
        if workload in done:
            continue
        detail = _why_elsewhere(target) or reason
        if not detail and workload not in triable:
            detail = "it has neither SingleStream nor Periodic nor LlmDecode"
        yield Finding(
            code="network-unchecked",
            severity=Severity.NOTE,
            subject=workload,
            values={"detail": detail or "its trial did not come to its end here"},
        )


def network_code(findings: Iterable[Finding]) -> ExitCode:
    """Give 1 where a workload did not go on, 5 where that is not known, 0 else."""
    codes = {finding.code for finding in findings}
    if "network-broken" in codes:
        return ExitCode.NO
    if codes & {"network-unsettled", "network-unchecked"}:
        return ExitCode.NO_ANSWER
    return ExitCode.OK


def why_not_here(command: tuple[str, ...] = IMPAIRED) -> str:
    """Say why no failing network can be made on this machine; empty: it can."""
    try:
        found = subprocess.run(  # noqa: S603 - a list, no shell
            (*command, PROBE),
            env=clean_environment(1),
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no network can be made here: {error}"
    if found.returncode == 0:
        return ""
    return " ".join(found.stderr.split()) or f"exit status {found.returncode}"


def _why_elsewhere(target: str) -> str:
    if target.startswith(EMULATED):
        return f"an emulated device has no network; only {LOCAL} can be tried"
    if target != LOCAL:
        return f"{target} is elsewhere or held back; only {LOCAL} can be tried"
    return ""


def _gates(remotes: Iterable[Remote], folder: Path) -> dict[tuple[str, int], _Gate]:
    """Lay out a way to each service, however many stages ask it."""
    places = dict.fromkeys((remote.host, remote.port) for remote in remotes)
    return {
        place: _Gate(port=_FIRST_PORT + number, path=folder / f"gate{number}")
        for number, place in enumerate(places)
    }


def _by_way_of(
    stages: tuple[BuiltStage, ...], gates: Mapping[tuple[str, int], _Gate]
) -> tuple[BuiltStage, ...]:
    """Have stages connect to the listener that stands where the service seems to be."""
    return tuple(
        built
        if (remote := built.stage.remote) is None
        else replace(
            built,
            stage=replace(
                built.stage,
                remote=replace(
                    remote, via=f"{FAR}:{gates[remote.host, remote.port].port}"
                ),
            ),
        )
        for built in stages
    )


def _asked(order: Order, window_ns: int) -> tuple[Scenario, int]:
    """Say in what pattern a workload is asked, and how often at least."""
    if order.decoder is not None:
        context = order.decoder.context
        output = min(_OUTPUT_TOKENS, max(context // 2, 1))
        prompt = max(1, min(_PROMPT_TOKENS, context - output))
        talk = LlmDecode(prompt_tokens=(prompt,), output_tokens=output)
        return talk, _LEAST_QUERIES
    if any(built.stage.remote for built in order.stages):
        return SingleStream(), _LEAST_QUERIES
    paced = Periodic(period_ns=_PERIOD_NS, deadline_ns=_PERIOD_NS)
    return paced, max(_LEAST_QUERIES, window_ns // _PERIOD_NS)


def _seed(trial: Trial, number: int) -> int:
    words = f"{trial.seeds.arrival}/network/{number}"
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")
