"""``emulated@``: a model of a device, executed in virtual time.

The load generator is the very one that runs beside a real model; only its clock is
virtual and its queries let time pass instead of computing. No model is executed
here, so there are no outputs. What it gives is of origin *emulated*, and never
evidence.
"""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.clock import VirtualClock
from harness.domain.origin import Origin
from harness.domain.plan import Trial
from harness.domain.predictedstage import PREDICTED_STAGES
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    Phase,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.scenario import ColdStart
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.emulation.decoding import DecoderTimes, read_decoder
from harness.emulation.graph_cost import cost_of_file
from harness.emulation.power import Busy, Trace, busy_of, trace, waveform
from harness.emulation.predict import check, emulation_of, predict
from harness.emulation.prediction import Prediction
from harness.emulation.service import durations_ns, median_ns, run_factor
from harness.emulation.thermal import Heat
from harness.errors import DeployMismatch, Unsupported
from harness.links.filedigest import digest_of, model_files
from harness.loadgen.pump import Query, run_trial
from harness.plugins import Address
from harness.targets.base import Deployment
from harness.targets.staging import StageCosts, stage_costs
from harness.targets.talking import (
    COLD_PROMPT_TOKENS,
    VirtualDecoder,
    context_of,
    decode_notes,
)
from harness.units import NS_PER_S

CLOCK = "virtual"
_UNIT_NS = 1e9
SOURCE = "emulated"
"""Source of the power channel."""


@contextmanager
def open_target(address: Address, profile: DeviceProfile) -> Iterator["EmulatedTarget"]:
    """Open the device that a profile models.

    Raises Unsupported for a profile without a device model and for an address with
    a link; SchemaError or UnknownName for a device model that cannot be used.
    """
    require_no_link(address)
    check(profile)
    yield EmulatedTarget(str(address), profile)


def require_no_link(address: Address) -> None:
    """Raise Unsupported where the address of a model names a way to it."""
    if address.link:
        raise Unsupported(
            f"An emulated device has no link, but the address is '{address}'",
            remedy="Write emulated@ and choose the device with --device.",
        )


class EmulatedTarget:
    """A device that is not here; see `harness.targets.base.Target`."""

    def __init__(self, address: str, profile: DeviceProfile) -> None:
        self._address = address
        self._profile = profile
        self._predictions: dict[str, Prediction] = {}
        self._decoders: dict[str, DecoderTimes] = {}
        self._stages: dict[str, StageCosts] = {}

    def identify(self) -> SutDescription:
        """Describe the device model: form, what it stands for, what is assumed."""
        model = emulation_of(self._profile)
        assumed = sorted(
            name
            for name, one in model.parameters.items()
            if one.source.startswith("assumed")
        )
        facts = {
            "model": model.form,
            "stands_for": model.stands_for,
            "assumed_parameters": ", ".join(assumed),
        }
        if self._profile.ram_bytes is not None:
            facts["memory_bytes"] = str(self._profile.ram_bytes)
        return SutDescription(
            address=self._address,
            name=self._profile.name,
            origin=Origin.EMULATED,
            clock=CLOCK,
            facts={key: value for key, value in facts.items() if value},
        )

    @contextmanager
    def prepare(self, asked: Conditions) -> Iterator[ConditionsReached]:
        """Give no conditions: a model has no surroundings."""
        del asked
        yield ConditionsReached()

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Cost the model's graph and predict what it takes on the device.

        Raises DeployMismatch where the file is not the one that the plan names.
        """
        digest = digest_of(model_files(path, model.external))
        if digest != model.sha256:
            raise DeployMismatch(
                f"The file is not the model '{model.name}' that was planned",
                where=str(path),
                remedy="Build the models again, or plan the run again.",
            )
        if model.stages:
            self._stages[digest] = stage_costs(model, path.parent)
            predicted = self._stages[digest].predicted(self._profile)
            self._predictions[digest] = predicted
        elif model.decoder is None:
            bound = {one.name: one.shape for one in model.inputs}
            prediction = predict(self._profile, cost_of_file(path, bound))
            self._predictions[digest] = prediction
        else:
            self._decoders[digest] = DecoderTimes(self._profile, read_decoder(path))
        yield Deployment(model=model, path=path, handle=digest, samples=samples)

    def execute(self, trial: Trial, on: Deployment) -> Iterator[TrialEvent]:
        """Carry the trial out in virtual time; refuse what the memory cannot hold."""
        decoder = self._decoders.get(on.handle)
        prediction = (
            self._predictions[on.handle]
            if decoder is None
            else decoder.at_rest(context_of(trial))
        )
        yield TrialStarted(trial=trial.id, clock=CLOCK)
        yield from _notes(trial, self._profile, prediction)
        if on.handle in self._stages:
            said = self._stages[on.handle].note(self._profile)
            yield Noted(trial=trial.id, key=PREDICTED_STAGES, value=said)
        if prediction.refusal:
            yield TrialEnded(
                trial=trial.id,
                outcome=Outcome.REFUSED,
                queries=0,
                reason=prediction.refusal,
            )
            return
        clock = VirtualClock(CLOCK)
        device = _Device(trial, on, prediction, clock, decoder)
        if on.handle in self._stages:
            device.shares = self._stages[on.handle].shares(self._profile)
        events: list[TrialEvent] = []
        queries = run_trial(trial, device, clock, events.append)
        yield from events
        if decoder is not None:
            yield from decode_notes(trial, decoder)
        yield _power(trial, device, prediction, events)
        yield self._memory(trial, prediction)
        yield TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=queries)

    def _memory(self, trial: Trial, prediction: Prediction) -> MemoryMeasured:
        if not self._profile.is_os_class:
            return MemoryMeasured(
                trial=trial.id,
                method="model",
                weights_bytes=prediction.weights_bytes,
                arena_bytes=prediction.arena_bytes,
            )
        return MemoryMeasured(
            trial=trial.id,
            method="model",
            baseline_bytes=prediction.base_bytes,
            peak_bytes=prediction.peak_bytes,
        )


class _Device:
    """Executes queries by letting virtual time pass (`loadgen.pump.Executor`)."""

    def __init__(
        self,
        trial: Trial,
        on: Deployment,
        prediction: Prediction,
        clock: VirtualClock,
        decoder: DecoderTimes | None = None,
    ) -> None:
        self._trial = trial
        self._on = on
        self._prediction = prediction
        self._clock = clock
        self._generator = np.random.default_rng(trial.seeds.order)
        self._run_factor = run_factor(prediction.scatter, self._generator)
        law = prediction.throttling
        self._heat = None if law is None else Heat(law, clock.now_ns())
        self._decoder = decoder
        self._factors = durations_ns(_UNIT_NS, prediction.scatter, self._generator)
        self.steps_ns: list[tuple[int, int]] = []
        """When a language model worked; of its queries several may run at once."""
        self.busy_ns: list[tuple[int, int]] = []
        """Loads of the model, and marks: work that is no query."""
        self.shares: tuple[float, ...] = ()
        """Of a pipeline's latency, stage by stage; empty: it is one model."""
        self._inner_ns = array("q")
        self.speeds = array("d")
        """Speed of the device at each query, in order; empty if it never throttles."""

    @property
    def now_ns(self) -> int:
        """Give the virtual time."""
        return self._clock.now_ns()

    def load(self) -> ModelLoaded:
        """Let the load pass, and the start of a process where that is asked for."""
        is_cold = isinstance(self._trial.scenario, ColdStart)
        seconds = self._prediction.load_s
        if is_cold:
            seconds += self._prediction.process_s
        times = self._times_about(seconds * NS_PER_S)
        begun = self._clock.now_ns()
        self._clock.advance(next(times))
        self.busy_ns.append((begun, self._clock.now_ns()))
        return ModelLoaded(
            trial=self._trial.id,
            sha256=self._on.handle,
            load_ns=self._clock.now_ns() - begun,
        )

    def queries(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        """Give queries that let their service times pass on the clock."""
        del phase  # a device works alike in all of them
        if self._decoder is not None:
            typical_s = self._decoder.prefill_s(COLD_PROMPT_TOKENS)
            times = self._times_about(typical_s * NS_PER_S)
            yield from (partial(self._clock.advance, each_ns) for each_ns in times)
        times = self._times_about(median_ns(self._prediction, samples_per_query))
        if self.shares:
            for duration_ns in times:
                yield partial(self._staged, duration_ns)
        elif self._heat is None:
            advance = self._clock.advance
            for duration_ns in times:
                yield partial(advance, duration_ns)
        else:
            for duration_ns in times:
                yield partial(self._work, duration_ns, self._heat)

    def _staged(self, duration_ns: int) -> None:
        begun = self._clock.now_ns()
        if self._heat is None:
            self._clock.advance(duration_ns)
        else:
            self._work(duration_ns, self._heat)
        spent_ns = self._clock.now_ns() - begun
        self._inner_ns.extend(
            begun + round(spent_ns * part) for part in accumulate(self.shares)
        )

    def take_inner(self) -> "array[int]":
        """Give when the stages of queries were done since the last time."""
        taken = self._inner_ns[:]
        del self._inner_ns[:]
        return taken

    def work_until(self, instant_ns: int) -> None:
        """Draw the power of work until the instant, as loading a model does."""
        begun = self._clock.now_ns()
        self._clock.wait_until(instant_ns)
        self.busy_ns.append((begun, self._clock.now_ns()))

    def decoder(self) -> VirtualDecoder:
        """Give what answers by letting the times of its steps pass."""
        if self._decoder is None:
            raise ValueError(f"trial {self._trial.id} has no language model")
        return VirtualDecoder(self._decoder, self.pass_time)

    def pass_time(self, typical_s: float) -> None:
        """Let a step pass that typically takes so long, on this device as it is now."""
        begun = self._clock.now_ns()
        typical_ns = typical_s * self._run_factor * NS_PER_S
        duration_ns = max(1, round(typical_ns * next(self._factors) / _UNIT_NS))
        if self._heat is None:
            self._clock.advance(duration_ns)
        else:
            self._work(duration_ns, self._heat)
        self.steps_ns.append((begun, self._clock.now_ns()))

    def _times_about(self, typical_ns: float) -> Iterator[int]:
        return durations_ns(
            typical_ns * self._run_factor, self._prediction.scatter, self._generator
        )

    def _work(self, duration_ns: int, heat: Heat) -> None:
        heat.idle_until(self._clock.now_ns())
        speed = heat.speed
        self._clock.advance(round(duration_ns / speed))
        heat.work_until(self._clock.now_ns())
        self.speeds.append(speed)


def _notes(
    trial: Trial, profile: DeviceProfile, prediction: Prediction
) -> Iterator[Noted]:
    low_s, high_s = prediction.interval_s
    low_90_s, high_90_s = prediction.interval_90_s
    facts = {
        "emulation.form": emulation_of(profile).form,
        "emulation.latency_s": f"{prediction.latency_s:.6g}",
        "emulation.interval_80_s": f"{low_s:.6g} {high_s:.6g}",
        "emulation.interval_90_s": f"{low_90_s:.6g} {high_90_s:.6g}",
        "emulation.energy_j": f"{prediction.energy_j:.6g}",
        "emulation.shares": " ".join(
            f"{name}={share:.3f}" for name, share in prediction.shares.items()
        ),
        "emulation.limited_by": str(prediction.limit),
        "emulation.standing": str(prediction.standing),
        "emulation.relative_uncertainty": f"{prediction.relative_uncertainty:.6g}",
        "emulation.bound_by": prediction.bound_by,
    }
    for finding in prediction.findings:
        values = (f"{name}={value}" for name, value in finding.values.items())
        facts[f"finding.{finding.code}"] = " ".join(values)
    for key, value in facts.items():
        yield Noted(trial=trial.id, key=key, value=value)


def _power(
    trial: Trial, device: _Device, prediction: Prediction, events: list[TrialEvent]
) -> ReadingsTaken:
    """Read the power of the whole trial, baselines included."""
    busy = _busy(device, prediction, [e for e in events if isinstance(e, QueryBlock)])
    # a simulated meter reads the marks, and must find their edges where they are
    read = trace if trial.pulses is None else waveform
    taken = read(
        busy,
        idle_w=prediction.idle_power_w,
        begin_ns=0,
        end_ns=device.now_ns,
    )
    return ReadingsTaken(trial=trial.id, block=_block(taken))


def _busy(device: _Device, prediction: Prediction, blocks: list[QueryBlock]) -> Busy:
    """Give when the device worked, loads and queries alike, and at which power."""
    if device.steps_ns:
        steps = np.array(device.steps_ns, dtype=np.int64)
        begun, ended = steps[:, 0], steps[:, 1]
    else:
        begun = np.concatenate([_column(block.issued_ns) for block in blocks])
        ended = np.concatenate([_column(block.completed_ns) for block in blocks])
    speeds = np.frombuffer(device.speeds) if device.speeds else np.ones(len(begun))
    loads = np.array(device.busy_ns, dtype=np.int64).reshape(-1, 2)
    return busy_of(
        np.concatenate((loads, np.column_stack((begun, ended)))),
        np.concatenate((np.ones(len(loads)), speeds)),
        active_w=prediction.active_power_w,
        idle_w=prediction.idle_power_w,
    )


def _column(times: "array[int]") -> NDArray[np.int64]:
    return np.frombuffer(times, dtype=np.int64)


def _block(taken: Trace) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(
            name="power",
            unit="W",
            source=SOURCE,
            rate_hz=NS_PER_S / taken.interval_ns,
        ),
        clock=CLOCK,
        origin=Origin.EMULATED,
        times_ns=array("q", taken.times_ns.tobytes()),
        values=array("d", taken.watts.tobytes()),
    )
