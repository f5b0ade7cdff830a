"""Processes of the C runner on an emulated processor, one after the other.

The emulator is shown empty files where the kernel describes processors: the host's own
description is of another architecture, and onnxruntime then asks the processor itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clock import Clock
from harness.domain.plan import Trial
from harness.domain.query import LinkEvent, Outcome, TrialEnded
from harness.loadgen.wire import Order
from harness.targets.agentlife import Place, live
from harness.targets.apart import available_cores, clean_environment
from harness.targets.arm64.emulator import Emulator
from harness.targets.arm64.memory import ProgramSampler, sampled
from harness.targets.arm64.plugin import counting
from harness.targets.arm64.readiness import Ready
from harness.targets.base import Deployment
from harness.targets.local import runtime_opener
from harness.targets.performing import Performer
from harness.targets.runner.preparer import Preparer

SILENCE_S = 120.0
_SLOWEST_MACS_PER_S = 2e7
"""Of float32 kernels under emulation, with room to spare: about 6e7 were seen."""
_UNKNOWN_S = 3600.0
_DESCRIPTIONS = (
    "proc/cpuinfo",
    "sys/devices/system/cpu/kernel_max",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/cpu/present",
)
_WITHOUT_CORE = ("sh", "-c", 'ulimit -c 0; exec "$@"', "sh")
"""The emulator would write the memory of a program that crashes into this folder."""


def emulating(
    emulator: Emulator, processor: str, folder: Path, *options: str
) -> tuple[str, ...]:
    """Give what stands before a command so that it is executed on that processor.

    The empty files that the emulator shows are made in `folder`.
    """
    root = folder / "root"
    for name in _DESCRIPTIONS:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    own = ("-cpu", processor, "-L", str(root))
    return (str(emulator.program), *own, *options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one process said and took."""

    events: tuple[LinkEvent, ...]
    ended: TrialEnded
    instructions: int | None
    """None where the emulator did not write its count."""
    peak_bytes: int
    """Of the emulated program; 0 where it ended before it was looked at."""


class LifeEnded(Exception):
    """A process that did not end well; `ended` says how. Never leaves the target."""

    def __init__(self, ended: TrialEnded) -> None:
        self.ended = ended
        super().__init__(ended.reason)


def require_done(ended: TrialEnded) -> None:
    """Raise LifeEnded unless all went well."""
    if ended.outcome is not Outcome.DONE:
        raise LifeEnded(ended)


@dataclass(slots=True, kw_only=True)
class Lives:
    """Starts runners; their files lie in `folder`."""

    ready: Ready
    folder: Path
    clock: Clock
    peak_bytes: int = 0
    """The largest of all processes so far."""

    def performer(self, processor: str, on: Deployment) -> Performer:
        """Give what carries orders about a model out on that processor.

        What it is told is prepared on the host, as for every C runner.
        """
        return Performer(
            self.clock,
            lambda trial: self._place(trial, processor, on.model.macs),
            runtime_opener,
            Preparer(folder=self.folder, place=str),
        )

    def live(self, order: Order, on: Deployment, processor: str) -> Life:
        """Let one process carry an order out to its end, whatever that is."""
        self._count.unlink(missing_ok=True)
        place = self._place(order.trial, processor, on.model.macs)
        heard = tuple(live(order, place))
        ended = heard[-1]
        if not isinstance(ended, TrialEnded):
            raise TypeError("a life ends with TrialEnded")
        return Life(
            events=heard[:-1],
            ended=replace(ended, reason=explained(ended, processor)),
            instructions=self._counted(),
            peak_bytes=self.peak_bytes,
        )

    def counted(self, order: Order, on: Deployment, processor: str) -> int:
        """Let one process carry an order out, and give its instructions.

        Raises LifeEnded where it did not end well or nothing was counted.
        """
        life = self.live(order, on, processor)
        require_done(life.ended)
        if life.instructions is None:
            reason = "The emulator ended without writing its count"
            failed = replace(life.ended, outcome=Outcome.FAILED, reason=reason)
            raise LifeEnded(failed)
        return life.instructions

    @property
    def _count(self) -> Path:
        return self.folder / "count"

    def _counted(self) -> int | None:
        text = self._count.read_text() if self._count.is_file() else ""
        return int(text) if text.strip().isdigit() else None

    def _place(self, trial: Trial, processor: str, macs: int | None) -> Place:
        ready = self.ready
        options = ("-plugin", counting(ready.plugin, self._count))
        emulator = emulating(ready.emulator, processor, self.folder, *options)
        command = (*_WITHOUT_CORE, *emulator, *ready.bundle.start(), "agent")
        return Place(
            clock=self.clock,
            command=command,
            environment=clean_environment(trial.settings.intra_op_threads),
            model_cores=frozenset(available_cores()),
            sampled=self._sampled,
            silence_s=_longest_s(trial.minimum.queries, macs),
        )

    @contextmanager
    def _sampled(self, pid: int) -> Iterator[ProgramSampler]:
        with sampled(pid) as sampler:
            yield sampler
        self.peak_bytes = max(self.peak_bytes, sampler.peak_bytes)


def explained(ended: TrialEnded, processor: str) -> str:
    """Give the reason of an ending, worded for what a signal means under emulation."""
    if ended.outcome is not Outcome.CRASHED:
        return ended.reason
    if "SIGILL" in ended.reason:
        return (
            f"The program used an instruction that {processor} does not have (SIGILL): "
            "the runtime takes the processor for another one; try the processor max"
        )
    if "SIGSEGV" in ended.reason:
        return f"The program crashed on the emulated {processor} (SIGSEGV)"
    return ended.reason


def _longest_s(inferences: int, macs: int | None) -> float:
    """Say how long an emulated process may rightly say nothing."""
    if macs is None:
        return _UNKNOWN_S
    return SILENCE_S + inferences * macs / _SLOWEST_MACS_PER_S
