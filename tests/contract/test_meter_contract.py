"""Each driver keeps the contract, over its simulator and over a capture of that."""

from pathlib import Path

import pytest

from harness.clock import Deadline, VirtualClock
from harness.meters.joulescope.opening import open_joulescope
from harness.meters.opening import open_recorded
from harness.plugins import Address
from harness.testing.contracts import MeterContract
from harness.testing.meterbench import MeterBench, bench_at

SMALL = (9e-3, 11e-3)
"""W: what is read of ``idle-10mW``, whose ripple is 2 %, through converters' steps."""
MAINS = (59.0, 63.0)
USB = (5.8, 6.2)


class TestPpk2(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("ppk2@sim:idle-10mW?seed=7", truth=SMALL, seconds=0.5)


class TestLpm01a(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("lpm01a@sim:idle-10mW?seed=7", truth=SMALL)


class TestLpm01aBinary(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at(
            "lpm01a@sim:idle-10mW?output=current&format=binary", truth=SMALL
        )


class TestPzem(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("pzem@sim:idle-61W?seed=7", truth=MAINS, seconds=5.0)


class TestDlt645(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("dlt645@sim:idle-61W?seed=7", truth=MAINS, seconds=5.0)


class TestUm25c(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("um25c@sim:idle-6W?seed=7", truth=USB, has_integrity=False)


class TestScpi(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("scpi@sim:idle-61W?seed=7", truth=MAINS, has_integrity=False)


class TestIna(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        return bench_at("ina@sim:idle-600mW?seed=7", truth=(0.55, 0.65))


def captured(address: str, path: Path, seconds: float) -> None:
    """Make a capture of two measurements, each twice as long as the bench's."""
    clock = VirtualClock()
    with open_recorded(Address.parse(address), clock, path) as meter:
        for _ in range(2):
            with meter.acquire(["power"]) as acquisition:
                until = Deadline.after(2 * seconds + 0.5, clock)
                for _block in acquisition.blocks(until):
                    pass


class TestPpk2Replayed(MeterContract):
    @pytest.fixture(scope="class")
    @classmethod
    def capture(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("captures") / "ppk2.cap"
        captured("ppk2@sim:idle-10mW?seed=7", path, 0.4)
        return path

    @pytest.fixture
    def bench(self, capture: Path) -> MeterBench:
        return bench_at(f"ppk2@replay:{capture}", truth=SMALL, seconds=0.4)


class TestLpm01aReplayed(MeterContract):
    @pytest.fixture(scope="class")
    @classmethod
    def capture(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("captures") / "lpm01a.cap"
        captured("lpm01a@sim:idle-10mW?seed=7", path, 3.0)
        return path

    @pytest.fixture
    def bench(self, capture: Path) -> MeterBench:
        return bench_at(f"lpm01a@replay:{capture}", truth=SMALL)


class TestJoulescope(MeterContract):
    @pytest.fixture
    def bench(self) -> MeterBench:
        clock = VirtualClock()
        address = Address.parse("joulescope@sim:idle-10mW?seed=7")
        return MeterBench(
            clock=clock,
            open=lambda _: open_joulescope(address, clock),
            truth=SMALL,
            seconds=0.5,
            has_link=False,
        )
