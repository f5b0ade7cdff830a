"""Data stay on the device: four checks of a model beside its runtime.

``isolated``: with no network but the loopback the answers are the same, bit for bit.
``sends-nothing``: with a network, no byte is sent to it; every system call is traced.
``leaves-nothing``: no file that was written holds a piece of the input.
``whole-model``: a model of which one bit was turned is refused.
What cannot be checked on a machine is said to be unchecked, and never to be passed.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from harness.bench.netless import NOT_PERMITTED
from harness.clock import Deadline, SystemClock
from harness.domain.finding import Finding, Severity
from harness.domain.query import ItemsScored, LinkEvent, Outcome, TrialEnded
from harness.errors import LinkClosed, LinkError, TargetError
from harness.links.filedigest import model_files
from harness.links.pipe import spawn
from harness.loadgen.transcript import Hello
from harness.loadgen.wire import Order, encode_order
from harness.runtimes.base import Tensor
from harness.runtimes.feeds import open_library
from harness.targets.apart import clean_environment
from harness.targets.conversation import Conversation, Tick

AGENT = (sys.executable, "-P", "-m", "harness.agent")
NETLESS = (sys.executable, "-P", "-m", "harness.bench.netless")
_TRACED = "socket,connect,sendto,sendmsg,sendmmsg,open,openat,creat,rename,renameat2"
_SENDS = re.compile(
    r"(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET|socket\(AF_PACKET"
)
_LOOPBACK = re.compile(r'inet_addr\("127\.|inet_pton\(AF_INET6, "(?:::ffff:127\.|::1")')
_WRITES = re.compile(
    r'(?:open|openat|creat)\((?:AT_FDCWD, )?"([^"]+)".*(?:O_WRONLY|O_RDWR|O_CREAT)'
)
_RENAMED = re.compile(r'rename(?:at2)?\(.*"([^"]+)"(?:, \w+)?\)')
_NOT_FILES = ("/dev/", "/proc/", "/sys/")
_CANARY_BYTES = 32
_EXIT_S = 5.0
_SILENCE_S = 300.0


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one model."""

    name: str
    state: State
    detail: str

    def finding(self, model: str) -> Finding:
        """Give the check as a finding of the run."""
        severity = Severity.CONDITIONAL if self.state is State.FAILED else Severity.NOTE
        return Finding(
            code=f"privacy-{self.state}",
            severity=severity,
            subject=model,
            values={"condition": self.name, "detail": self.detail},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What an agent answered, and how it ended."""

    answers: tuple[ItemsScored, ...]
    ended: TrialEnded | None
    status: int | None
    words: str

    @property
    def is_done(self) -> bool:
        return self.ended is not None and self.ended.outcome is Outcome.DONE

    @property
    def reason(self) -> str:
        return self.ended.reason if self.ended else self.words or "it said nothing"


def check_privacy(
    order: Order, environment: dict[str, str] | None = None
) -> tuple[Check, ...]:
    """Make the four checks of the model in an order to answer items.

    Raises TargetError where the model cannot answer at all.
    """
    variables = environment or clean_environment(1)
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        home = Path(folder)
        traced, trace = _traced(order, variables, home)
        if not traced.is_done:
            raise TargetError(
                f"The model could not be answered for the privacy checks: "
                f"{traced.reason}",
                where=order.model_path,
                remedy="See whether it runs without --check-network.",
            )
        return (
            _isolated(order, variables, traced),
            _sends_nothing(trace),
            _leaves_nothing(order, trace, home),
            _whole_model(order, variables),
        )


def _traced(
    order: Order, variables: dict[str, str], home: Path
) -> tuple[_Said, str | None]:
    """Answer in an empty home, traced where strace is there; None: it is not."""
    own = home / "home"
    own.mkdir()
    environment = {**variables, "HOME": str(own), "TMPDIR": str(own)}
    if shutil.which("strace") is None:
        return _converse(AGENT, order, environment), None
    log = home / "trace"
    strace = ("strace", "-f", "-qq", "-s", "4096", "-e", f"trace={_TRACED}")
    said = _converse((*strace, "-o", str(log), *AGENT), order, environment)
    if not said.is_done:  # ptrace may be forbidden where strace itself is there
        return _converse(AGENT, order, environment), None
    return said, log.read_text(encoding="utf-8", errors="replace")


def _isolated(order: Order, variables: dict[str, str], before: _Said) -> Check:
    said = _converse(NETLESS, order, variables)
    name = "isolated"
    if said.status == NOT_PERMITTED:
        return Check(name=name, state=State.UNCHECKED, detail=said.words)
    if not said.is_done:
        detail = f"without a network it gives no answer: {said.reason}"
        return Check(name=name, state=State.FAILED, detail=detail)
    packed = [[event.packed for event in one.answers] for one in (before, said)]
    if packed[0] != packed[1]:
        detail = "without a network the answers are others"
        return Check(name=name, state=State.FAILED, detail=detail)
    items = sum(event.items for event in said.answers)
    detail = f"{items} answers with loopback only, the same bit for bit"
    return Check(name=name, state=State.PASSED, detail=detail)


def _sends_nothing(trace: str | None) -> Check:
    name = "sends-nothing"
    if trace is None:
        detail = "strace is not there, or may not trace here"
        return Check(name=name, state=State.UNCHECKED, detail=detail)
    lines = trace.splitlines()
    sends = [
        line for line in lines if _SENDS.search(line) and not _LOOPBACK.search(line)
    ]
    if sends:
        detail = f"{len(sends)} calls to the network, the first {_call(sends[0])}"
        return Check(name=name, state=State.FAILED, detail=detail)
    detail = f"no call to the network among {len(lines)} that were traced"
    return Check(name=name, state=State.PASSED, detail=detail)


def _call(line: str) -> str:
    """Name a traced call and its address, and nothing of what was sent."""
    name = line.partition("(")[0].split()[-1]
    _, found, address = line.partition("sa_family=")
    return f"{name} to {address.partition('}')[0]}" if found else name


def _leaves_nothing(order: Order, trace: str | None, home: Path) -> Check:
    name = "leaves-nothing"
    pieces = _canaries(order)
    if not pieces:
        detail = "no input is long enough to be known again"
        return Check(name=name, state=State.UNCHECKED, detail=detail)
    left = [path for path in (home / "home").rglob("*") if path.is_file()]
    written = {*left, *(_written(trace) if trace is not None else ())}
    holding = [path for path in sorted(written) if _holds(path, pieces)]
    if holding:
        detail = f"the input is in {', '.join(map(str, holding[:3]))}"
        return Check(name=name, state=State.FAILED, detail=detail)
    if trace is None:
        detail = "only its own folders were looked at: strace is not there"
        return Check(name=name, state=State.UNCHECKED, detail=detail)
    detail = f"{len(written)} files written are left, none holds a piece of the input"
    return Check(name=name, state=State.PASSED, detail=detail)


def _whole_model(order: Order, variables: dict[str, str]) -> Check:
    name = "whole-model"
    source = Path(order.model_path)
    with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
        copy = Path(folder, source.name)
        for file in model_files(source, order.external):
            place = copy.parent / file.relative_to(source.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        _turn_a_bit(copy)
        said = _converse(AGENT, replace(order, model_path=str(copy)), variables)
    if said.is_done or said.answers:
        detail = "a copy with one bit turned was executed"
        return Check(name=name, state=State.FAILED, detail=detail)
    detail = "a copy with one bit turned was refused"
    return Check(name=name, state=State.PASSED, detail=detail)


def _turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _canaries(order: Order) -> tuple[bytes, ...]:
    """Give a piece of every input that varies enough to be known again."""
    samples = Path(order.samples_path) if order.samples_path else None
    is_labelled = order.labelled is not None
    seed = order.trial.seeds.sample
    library = open_library(order.inputs, seed, samples, is_labelled=is_labelled)
    pieces = (_piece(tensor) for tensor in library.sample(0).values())
    return tuple(piece for piece in pieces if piece)


def _piece(tensor: Tensor) -> bytes:
    data = np.ascontiguousarray(tensor).tobytes()
    middle = len(data) // 2
    piece = data[middle : middle + _CANARY_BYTES]
    is_telling = len(piece) == _CANARY_BYTES and len(set(piece)) > _CANARY_BYTES // 4
    return piece if is_telling else b""


def _written(trace: str) -> Iterator[Path]:
    """Give files that were opened for writing, or renamed, and are still there."""
    for line in trace.splitlines():
        for pattern in (_WRITES, _RENAMED):
            found = pattern.search(line)
            if found and not found.group(1).startswith(_NOT_FILES):
                path = Path(found.group(1))
                if path.is_file():
                    yield path


def _holds(path: Path, pieces: Sequence[bytes]) -> bool:
    data = path.read_bytes()
    return any(piece in data for piece in pieces)


def _converse(
    command: tuple[str, ...], order: Order, environment: dict[str, str]
) -> _Said:
    clock = SystemClock()
    heard: list[LinkEvent] = []
    with spawn(command, environment, name="agent") as link:
        talk = Conversation(link, clock, silence_s=_SILENCE_S)
        try:
            talk.ask(encode_order(order))
            heard += [e for e in talk.answers() if not isinstance(e, Hello | Tick)]
        except LinkClosed:
            pass  # its status and its last words say why
        except LinkError as error:
            return _Said(answers=(), ended=None, status=None, words=str(error))
        status = link.exit_status(Deadline.after(_EXIT_S, clock))
        words = link.last_words()
    ended = [event for event in heard if isinstance(event, TrialEnded)]
    return _Said(
        answers=tuple(event for event in heard if isinstance(event, ItemsScored)),
        ended=ended[-1] if ended else None,
        status=status,
        words=words,
    )
