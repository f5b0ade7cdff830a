"""``python3 -m harness.targets.board VERB …``: see `harness.targets.board`."""

import shutil
import sys
from pathlib import Path

from harness.clock import SystemClock
from harness.links.filedigest import digest_of
from harness.meters.kernel import Kernel
from harness.targets.board import conditions, lock, series
from harness.targets.board.android import PhoneKernel
from harness.targets.board.facts import describe
from harness.targets.board.job import RunFolder, decode_job, decode_series, speak
from harness.targets.board.relay import relay


def main(verb: str, *words: str) -> None:
    """Carry one verb out; lines of JSON to standard output."""
    match verb, words:
        case "facts", ():
            _say(speak("facts", facts=describe(Kernel())))
        case "digest", files:
            _say(speak("digest", sha256=_digest([Path(file) for file in files])))
        case "hold", (base, token, holder):
            lock.hold(Path(base), token, holder)
        case "conditions", (base,):
            conditions.hold(Path(base), PhoneKernel(), SystemClock())
        case "run", (base, folder):
            _run(Path(base), RunFolder(Path(folder)))
        case "follow", (folder, offset):
            _follow(RunFolder(Path(folder)), int(offset))
        case "now", ():
            _tell_time()
        case _:
            _alone(verb, *words)


def _alone(verb: str, *words: str) -> None:
    """Carry out a verb of a run that is executed with nobody there."""
    match verb, words:
        case "leave", (base, folder):
            _leave(Path(base), Path(folder))
        case "look", (base, folder):
            _say(series.look(Path(base), Path(folder), SystemClock()))
        case "end", (base, folder, reason):
            series.end(Path(base), Path(folder), reason, SystemClock())
            _say(series.look(Path(base), Path(folder), SystemClock()))
        case "give", (folder, number):
            sys.stdout.buffer.writelines(series.given(Path(folder), int(number)))
        case "forget", (folder,):
            shutil.rmtree(folder)
            _say(speak("forgotten"))
        case _:
            sys.exit(f"no such verb: {verb} {' '.join(words)}")


def _run(base: Path, folder: RunFolder) -> None:
    # only a run needs numpy: a board without it can still say what it is
    from harness.targets.board.keeper import detach  # noqa: PLC0415

    job = decode_job(sys.stdin.buffer.readline())
    try:
        with lock.busy_for(base):
            detach(job, folder)
    except BlockingIOError:
        _say(speak("refused", reason="Another run is going on on this board"))
        return
    except OSError as error:
        _say(speak("refused", reason=f"The board cannot start a run: {error}"))
        return
    relay(folder, 0)


def _leave(base: Path, folder: Path) -> None:
    # only a run needs numpy: a board without it can still say what it is
    from harness.targets.board.performance import detach_series  # noqa: PLC0415

    order = decode_series(sys.stdin.buffer.readline())
    try:
        with lock.busy_for(base):
            detach_series(order, base, folder)
    except BlockingIOError:
        _say(speak("refused", reason="Another run is going on on this board"))
    except OSError as error:
        _say(speak("refused", reason=f"The board cannot start a run: {error}"))
    else:
        _say(speak("left"))


def _follow(folder: RunFolder, offset: int) -> None:
    if not folder.journal.is_file():
        _say(speak("refused", reason="The run's journal is no longer on the board"))
        return
    relay(folder, offset)


def _digest(files: list[Path]) -> str:
    """Give the digest of files that are all there; else nothing."""
    return digest_of(files) if all(file.is_file() for file in files) else ""


def _tell_time() -> None:
    """Answer each line with the board's clock, so that the host can relate its own."""
    clock = SystemClock()
    while sys.stdin.buffer.readline():
        _say(speak("now", at_ns=clock.now_ns()))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


main(*sys.argv[1:])
