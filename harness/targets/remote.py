"""A Linux board behind a shell: agent and models pushed once, trials executed there.

The load generator runs on the board, so the link adds nothing to a latency. A link
that drops is opened again, and the journal on the board is read on from where it was
left; what ends a trial is its last event and ``done``, never the end of a link.
"""

import getpass
import json
import platform
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.clock import Clock, Deadline, SystemClock
from harness.domain.board import Board
from harness.domain.origin import Origin
from harness.domain.plan import RuntimeSettings, Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    CLOCK_PAIRS,
    ModelLoaded,
    Noted,
    Outcome,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import (
    ConditionNotReached,
    DeployMismatch,
    LinkClosed,
    LinkError,
    LinkTimeout,
    TargetError,
)
from harness.links.filedigest import digest_of, model_files
from harness.links.shell import LineLink, Shell
from harness.loadgen.prepared import Prepared
from harness.loadgen.wire import Task
from harness.planning import expected_seconds
from harness.plugins import Address
from harness.targets.answered import with_scores
from harness.targets.base import Deployment
from harness.targets.board.job import CLOCK, Asked, Job, encode_job
from harness.targets.fitted import Fitted
from harness.targets.fitting import fit_out
from harness.targets.follower import Follower, come_back, parsed
from harness.targets.local import runtime_opener
from harness.targets.power import power_cycle
from harness.targets.runner.preparer import Preparer, require_known, why_not

LEASE_S = 60.0
"""How long a board goes on with nobody there; as long a link may be away."""
ASK_S = 30.0
CLOCK_EXCHANGES = 8
_TENSORS = "tensors"
"""Room on the board for the inputs of trials."""
MARGIN, START_S = 1.1, 5.0
"""A board that was let alone is asked after this much more than its trial takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the host waits for a board."""

    silence_s: float = 120.0
    """An agent that says nothing for longer, beside its windows, hangs."""
    lease_s: float = LEASE_S
    boot_s: float = 180.0
    """How long a board may take to be there again after its power was cycled."""
    cool_s: float = 300.0
    """How long the board may take to cool down before a trial."""


@contextmanager
def fitted_out(
    shell: Shell, board: Board, address: Address, patience: Patience, *, is_held: bool
) -> Iterator["RemoteTarget"]:
    """Fit a board out, and keep it for ourselves while the context is open.

    Not held, it can only be asked what a run that was left there has done.

    Raises Unsupported where it cannot run the agent, TargetError where another lab
    holds it.
    """
    clock = SystemClock()
    target = RemoteTarget(
        shell=shell,
        board=board,
        fitted=fit_out(shell, board, clock),
        clock=clock,
        patience=patience,
        opener=runtime_opener,
        address=str(address),
    )
    with target.held() if is_held else nullcontext():
        yield target


@dataclass(slots=True, kw_only=True)
class RemoteTarget:
    """A board. A `Target`."""

    shell: Shell
    board: Board
    fitted: Fitted
    clock: Clock
    opener: Callable[[str], str]
    """Gives ``module:function`` of a runtime by its name."""
    address: str
    patience: Patience = field(default_factory=Patience)
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _runs: int = 0
    _anchor_ns: int | None = None
    _inspected: dict[tuple[str, RuntimeSettings], ModelLoaded] = field(
        default_factory=dict
    )
    _holding: ExitStack = field(default_factory=ExitStack)

    def identify(self) -> SutDescription:
        """Ask the board what it is. Changes nothing."""
        facts = self.fitted.facts(self.shell)
        return SutDescription(
            address=self.address,
            name=str(facts.get("board") or facts.get("cpu") or self.shell.where),
            origin=Origin.MEASURED,
            clock=CLOCK,
            facts={str(key): str(facts[key]) for key in facts}
            | {
                "agent": self.fitted.agent_sha256,
                "agent_form": "C runner" if self.fitted.is_runner else "Python",
            },
        )

    @contextmanager
    def prepare(self, asked: Conditions) -> Iterator[ConditionsReached]:
        """Hold the board as asked, and put it back; raises ConditionNotReached."""
        wanted = Asked(
            governor=asked.governor,
            max_start_degc=asked.device_max_start_degc,
            anchor_ns=self._anchor_ns,
            patience_s=self.patience.cool_s,
        )
        self._be_there()
        command = self.fitted.command("conditions", self.fitted.folder)
        with self.shell.start(command) as link:
            link.write(json.dumps(asdict(wanted)).encode() + b"\n")
            said = self._said(link, self.patience.cool_s + ASK_S)
            if said.get("line") != "reached":
                raise ConditionNotReached(
                    str(said.get("what", "The board did not reach its conditions")),
                    where=str(said.get("where") or self.shell.where),
                    remedy=str(said.get("remedy", "")),
                )
            yield self._reached(said["conditions"])
            self._put_back(link)

    @contextmanager
    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> Iterator[Deployment]:
        """Have the model on the board; it is sent only where it is not there yet.

        Raises DeployMismatch where the board reads back another digest.
        """
        if self.fitted.is_runner:
            require_known(model, self.shell.where)
        files = model_files(path, model.external)
        if digest_of(files) != model.sha256:
            raise DeployMismatch(
                "The file is not the one that was planned",
                where=str(path),
                remedy="It changed since the plan was made; plan again.",
            )
        handle = self.fitted.push_model(self.shell, model, path)
        held = samples
        if samples is not None and not self.fitted.is_runner:
            # what the runner takes of them is sent trial by trial
            held = Path(self.fitted.push_file(self.shell, samples, "samples"))
        yield Deployment(model=model, path=path, handle=handle, samples=held)

    def execute(
        self, trial: Trial, on: Deployment
    ) -> Generator[TrialEvent, None, None]:
        """Execute one trial on the board and yield its events in order.

        Raises LinkClosed where the link is lost for good: then the trial has no last
        event, and ``--resume`` executes it again.
        """
        self._runs += 1
        folder = f"{self.fitted.folder}/runs/{self._token}-{self._runs}"
        key = (on.model.sha256, trial.settings)
        alone_s = None
        if self.board.is_detached:
            alone_s = expected_seconds(trial) * MARGIN + START_S
        job = Job(
            trial=trial,
            inspected=self._inspected.get(key),
            model=on.model,
            model_path=on.handle,
            samples_path=str(on.samples) if on.samples else None,
            labelled=on.labelled,
            runtime=self.opener(trial.settings.runtime),
            silence_s=self.patience.silence_s,
            lease_s=self.patience.lease_s + (alone_s or 0.0),
            prepared=self._prepared(trial, on),
        )
        follower = Follower(
            shell=self.shell,
            clock=self.clock,
            come_back=self._come_back,
            begin=self.fitted.command("run", self.fitted.folder, folder),
            go_on=lambda offset: self.fitted.command("follow", folder, str(offset)),
            job=encode_job(job),
            alone_s=alone_s,
        )
        pairs = [self._clock_pair()]
        with closing(follower.events()) as heard:
            events = with_scores(heard, trial, on)
            for event in _with_an_end(events, follower, trial):
                if isinstance(event, ModelLoaded):
                    self._inspected[key] = event
                if isinstance(event, TrialEnded):
                    # a link that is lost just now costs a pair, never the trial
                    with suppress(LinkError):
                        pairs.append(self._clock_pair())
                    text = ";".join(pairs)
                    yield Noted(trial=trial.id, key=CLOCK_PAIRS, value=text)
                yield event
        if follower.is_interrupted:
            raise KeyboardInterrupt

    def why_not(self, model: ModelArtifact) -> str:
        """Say why the board's agent cannot measure a model; empty where it can."""
        return why_not(model) if self.fitted.is_runner else ""

    def _prepared(self, trial: Trial, on: Deployment) -> Prepared | None:
        """Draw on this host what the board's agent cannot, and send it."""
        if not self.fitted.is_runner:
            return None
        with TemporaryDirectory(prefix="duanping-") as folder:
            prepare = Preparer(
                folder=Path(folder),
                place=lambda file: self.fitted.push_file(self.shell, file, _TENSORS),
            )
            return prepare(Task.MEASURE, trial, on)

    def _clock_pair(self) -> str:
        """Read both clocks at once, as near as the quickest of some exchanges goes.

        The board's reading lies anywhere between question and answer: a rectangle,
        u = half of that over √3 (JCGM 100, 4.3.7).
        """
        best: tuple[int, int, int] | None = None
        with self.shell.start(self.fitted.command("now")) as link:
            for _ in range(CLOCK_EXCHANGES):
                asked_ns = self.clock.now_ns()
                link.write(b"now\n")
                board_ns = int(self._said(link, ASK_S)["at_ns"])
                took_ns = self.clock.now_ns() - asked_ns
                if best is None or took_ns < best[0]:
                    best = (took_ns, asked_ns + took_ns // 2, board_ns)
        if best is None:
            raise ValueError("no exchange was made")
        took_ns, host_ns, board_ns = best
        return f"{host_ns} {board_ns} {took_ns / sqrt(12):.0f}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the board for ourselves. Raises TargetError naming who has it."""
        with self._holding:
            self._take_hold()
            try:
                yield
            finally:
                self._clear()

    def _clear(self) -> None:
        """Remove the inputs that were sent for trials; the model stays for the next."""
        if self.fitted.is_runner:
            until = Deadline.after(ASK_S, self.clock)
            with suppress(LinkError):  # a board that is gone keeps them
                self.shell.run(["rm", "-rf", f"{self.fitted.folder}/{_TENSORS}"], until)

    def _take_hold(self) -> None:
        """Hold the board by this link; one that is lost holds it no more."""
        self._holding.close()
        holder = self.board.holder or f"{getpass.getuser()}@{platform.node()}"
        command = self.fitted.command("hold", self.fitted.folder, self._token, holder)
        link = self._holding.enter_context(self.shell.start(command))
        said = self._said(link, ASK_S)
        if said.get("line") != "holds":
            raise TargetError(
                f"The board is held by {said.get('by', 'somebody else')}",
                where=self.shell.where,
                remedy="Wait until that run is over, or ask them.",
            )

    def _reconnect(self) -> None:
        self.shell.reconnect()
        self._take_hold()

    def _come_back(self) -> None:
        """Open a lost link again, at the last by cycling the board's power.

        Raises LinkClosed where it stays away.
        """
        try:
            come_back(self._reconnect, self.clock, self.patience.lease_s)
        except LinkClosed:
            if not self.board.power_cycle:
                raise
            power_cycle(self.board.power_cycle)
            come_back(self._reconnect, self.clock, self.patience.boot_s)

    def _be_there(self) -> None:
        """Open the link again where it was lost between two trials."""
        until = Deadline.after(ASK_S, self.clock)
        try:
            self.shell.run(["true"], until)
        except (LinkClosed, LinkTimeout):
            self._come_back()

    def _ask(self, verb: str, *words: str) -> dict[str, Any]:
        until = Deadline.after(ASK_S, self.clock)
        with self.shell.start(self.fitted.command(verb, *words)) as link:
            return self._said(link, until.remaining_s())

    def _said(self, link: LineLink, seconds: float) -> dict[str, Any]:
        """Give the next line of ours; a login script may have said something before."""
        until = Deadline.after(seconds, self.clock)
        try:
            while True:
                plain = parsed(link.read_line(until))
                if plain is not None:
                    return plain
        except LinkClosed as error:
            raise TargetError(
                f"The agent cannot be started on the board: {link.last_words()}",
                where=self.shell.where,
                remedy="Look at Python and the free space there.",
            ) from error

    def _reached(self, found: dict[str, Any]) -> ConditionsReached:
        anchor_ns = int(found.pop("anchor_ns"))
        if self._anchor_ns is None:
            self._anchor_ns = anchor_ns
        return ConditionsReached(**found, anchor_ratio=anchor_ns / self._anchor_ns)

    def _put_back(self, link: LineLink) -> None:
        """Have conditions put back; a board whose link is lost does so by itself."""
        try:
            link.write(b"done\n")
            said = self._said(link, ASK_S)
        except LinkClosed:
            return
        if failed := said.get("failed"):
            raise TargetError(
                f"A condition of the board could not be put back: {'; '.join(failed)}",
                where=self.shell.where,
                remedy="Put it back by hand, then go on with --resume.",
            )


def _with_an_end(
    events: Iterator[TrialEvent], follower: Follower, trial: Trial
) -> Iterator[TrialEvent]:
    """Yield events; where the board could not say how it ended, say what is known."""
    queries = 0
    for event in events:
        if isinstance(event, QueryBlock):
            queries += len(event.completed_ns)
        if isinstance(event, TrialEnded) and follower.times_lost:
            lost = f"{follower.times_lost} times"
            yield Noted(trial=trial.id, key="link_lost", value=lost)
        yield event
    if not follower.has_ended:
        yield TrialEnded(
            trial=trial.id,
            outcome=Outcome.CRASHED,
            queries=queries,
            reason=follower.reason,
        )
