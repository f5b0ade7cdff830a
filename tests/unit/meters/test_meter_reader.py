"""The reader's side of the talk: what it answers, whatever its meter does."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import LinkClosed
from harness.links.replay import load_capture
from harness.meters.reader import _Stand, _Tape
from harness.plugins import Address

ADDRESS = Address.parse("pzem@sim:idle-61W")


class Orders:
    """Orders from a list; one that is not there must not be waited for."""

    def __init__(self, *orders: dict[str, Any]) -> None:
        self._orders = list(orders)

    def next(self, until: Deadline | None) -> dict[str, Any] | None:
        if self._orders:
            return self._orders.pop(0)
        assert until is not None, "it waits for an order that will never come"
        return None


class Breaking:
    """A meter that goes away: at once, while it is read, or as it is stopped."""

    def __init__(self, when: str) -> None:
        self._when = when

    def _break(self, when: str) -> None:
        if self._when == when:
            raise LinkClosed("The device went away", where="toy")

    @contextmanager
    def acquire(
        self,
        channels: Collection[str],  # noqa: ARG002
        *,
        rate_hz: float | None = None,  # noqa: ARG002
    ) -> Iterator["Breaking"]:
        self._break("at once")
        yield self
        self._break("as it is stopped")

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock | None]:  # noqa: ARG002
        self._break("while it is read")
        yield None

    def loss(self) -> Loss:
        return Loss(missing=0, expected=0)


@pytest.mark.parametrize("when", ["at once", "while it is read", "as it is stopped"])
def test_each_acquisition_has_its_two_answers_however_the_meter_breaks(
    when: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meter: Any = Breaking(when)
    orders: Any = Orders({"stop": True})

    _Stand(meter, ADDRESS, SystemClock(), _Tape()).acquire(tmp_path / "a.cap", orders)

    begun, ended = map(json.loads, capfd.readouterr().out.splitlines())
    assert begun == {"begun": True}
    assert ended["ended"]["fault"]["code"] == "link-closed"
    assert ended["ended"]["fault_after_s"] >= 0
    assert load_capture(tmp_path / "a.cap").facts["address"] == str(ADDRESS)


def test_a_good_acquisition_ends_without_a_fault(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meter: Any = Breaking("never")
    orders: Any = Orders({"stop": True})

    _Stand(meter, ADDRESS, SystemClock(), _Tape()).acquire(tmp_path / "a.cap", orders)

    _, ended = map(json.loads, capfd.readouterr().out.splitlines())
    assert ended["ended"]["fault"] is None
    assert set(load_capture(tmp_path / "a.cap").marks) == {"begun", "ended"}
