"""NVIDIA GPUs by NVML, through the optional package nvidia-ml-py.

The energy counter (mJ, renewed about every 100 ms) is preferred; an older GPU tells
its power only. What either is worth: on A100 and H100 the power behind it is sampled
for 25 % of the time (arXiv 2312.02741), so windows should last for 5 s or more.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel
from harness.errors import MeterError, Unsupported
from harness.meters.base import InstrumentDescription
from harness.meters.onhost.sampling import HostMeter, Rates, Sampler
from harness.units import NS_PER_S

RATES = Rates(default_hz=10.0, fastest_hz=10.0)
_QUARTER_SAMPLED = ("A100", "H100", "H200")
_MILLI = 1e-3


class Nvml(Protocol):
    """The functions of nvidia-ml-py that are used here, under their own names."""

    @property
    def NVMLError(self) -> type[Exception]:  # noqa: N802 - the library's name
        """What every function raises."""
        ...

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        """Load the driver's library."""
        ...

    def nvmlShutdown(self) -> None:  # noqa: N802 - the library's name
        """Let it go."""
        ...

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any:  # noqa: ANN401, N802
        """Give a GPU by number."""
        ...

    def nvmlDeviceGetName(self, handle: Any, /) -> str:  # noqa: ANN401, N802
        """Give its model."""
        ...

    def nvmlDeviceGetUUID(self, handle: Any, /) -> str:  # noqa: ANN401, N802
        """Give its serial identity."""
        ...

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802 - the library's name
        """Give the driver's version."""
        ...

    def nvmlDeviceGetTotalEnergyConsumption(  # noqa: N802 - the library's name
        self,
        handle: Any,  # noqa: ANN401 - opaque to us
        /,
    ) -> int:
        """Give the energy since the driver was loaded, in mJ."""
        ...

    def nvmlDeviceGetPowerUsage(self, handle: Any, /) -> int:  # noqa: ANN401, N802
        """Give the power, in mW."""
        ...


def load_nvml() -> Nvml:
    """Load nvidia-ml-py. Raises Unsupported with what to install."""
    try:
        return cast("Nvml", importlib.import_module("pynvml"))
    except ImportError as error:
        raise Unsupported(
            "The Python package nvidia-ml-py is not installed",
            where="nvml@",
            remedy="pip install 'duanping[nvml]'",
        ) from error


@contextmanager
def open_nvml(
    clock: Clock,
    *,
    address: str,
    origin: Origin,
    index: int = 0,
    library: Nvml | None = None,
) -> Iterator[HostMeter]:
    """Open one GPU. Raises Unsupported without driver, GPU or power sensor."""
    nvml = library or load_nvml()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise Unsupported(
            f"NVML cannot be used here: {error}",
            where=address,
            remedy="Install NVIDIA's driver, or take an external meter.",
        ) from error
    try:
        yield _meter(nvml, clock, address=address, origin=origin, index=index)
    finally:
        nvml.nvmlShutdown()


def _meter(
    nvml: Nvml, clock: Clock, *, address: str, origin: Origin, index: int
) -> HostMeter:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        has_energy = _has_energy(nvml, handle)
        if not has_energy:
            nvml.nvmlDeviceGetPowerUsage(handle)
        model = nvml.nvmlDeviceGetName(handle)
        description = InstrumentDescription(
            driver="nvml",
            address=address,
            origin=origin,
            maker="NVIDIA",
            model=model,
            serial_number=nvml.nvmlDeviceGetUUID(handle),
            firmware=f"driver {nvml.nvmlSystemGetDriverVersion()}",
            facts=_facts(model, has_energy=has_energy),
        )
    except nvml.NVMLError as error:
        raise Unsupported(
            f"GPU {index} gives no power: {error}",
            where=address,
            remedy="Name another GPU, such as nvml@1, or take an external meter.",
        ) from error
    names = [("power", "W"), ("energy", "J")]
    return HostMeter(
        clock,
        description=description,
        channels=tuple(
            Channel(name=name, unit=unit, source=address, rate_hz=RATES.default_hz)
            for name, unit in (names if has_energy else names[:1])
        ),
        rates=RATES,
        begin=(
            (lambda now_ns: _Counting(nvml, handle, address, now_ns).sample)
            if has_energy
            else (lambda _: _power_sampler(nvml, handle))
        ),
    )


def _has_energy(nvml: Nvml, handle: Any) -> bool:  # noqa: ANN401 - opaque to us
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:
        return False  # before Volta there is no such counter
    return True


def _facts(model: str, *, has_energy: bool) -> dict[str, str]:
    facts = {
        "boundary": "GPU board",
        "quantity": "energy counter" if has_energy else "power",
        "evidence_class": "C",
    }
    if any(name in model for name in _QUARTER_SAMPLED):
        facts["sampled_share"] = "0.25"
    return facts


def _power_sampler(nvml: Nvml, handle: Any) -> Sampler:  # noqa: ANN401 - opaque to us
    def sample(now_ns: int) -> Mapping[str, float]:
        del now_ns
        try:
            return {"power": nvml.nvmlDeviceGetPowerUsage(handle) * _MILLI}
        except nvml.NVMLError:
            return {}  # left out, and so counted as missing

    return sample


class _Counting:
    """The energy counter of one acquisition."""

    def __init__(
        self,
        nvml: Nvml,
        handle: Any,  # noqa: ANN401 - opaque to us
        address: str,
        now_ns: int,
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._address = address
        self._first_mj = self._last_mj = self._read()
        self._last_ns = now_ns

    def sample(self, now_ns: int) -> Mapping[str, float]:
        """Give the mean power since the last call, and the energy since the first."""
        millijoules = self._read()
        if millijoules < self._last_mj:
            raise MeterError(
                "The GPU's energy counter went back: the driver was loaded again",
                where=self._address,
                remedy="What came before is kept. Run again.",
            )
        elapsed_s = (now_ns - self._last_ns) / NS_PER_S
        power_w = (millijoules - self._last_mj) * _MILLI / elapsed_s
        self._last_mj, self._last_ns = millijoules, now_ns
        return {"power": power_w, "energy": (millijoules - self._first_mj) * _MILLI}

    def _read(self) -> int:
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._nvml.NVMLError as error:
            raise MeterError(
                f"The GPU no longer answers: {error}",
                where=self._address,
                remedy="Look at nvidia-smi and the kernel's log.",
            ) from error
