"""Would a model fit into a device's memory at all? Asked before it is sent there.

Of a user's own model it is asked before its files are even digested, by the memory
that the profile states: what is predicted of it needs its graph only. Of every model
it is asked again once the device has said how much memory it has.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.external import external_files
from harness.catalogue.language import GENAI, runtime_of
from harness.catalogue.vet import read_vetted
from harness.domain.profile import DeviceProfile
from harness.domain.sut import SutDescription
from harness.domain.workload import ModelArtifact
from harness.emulation.footprint import footprint_of
from harness.emulation.graph_cost import GraphCost, cost_of_file
from harness.emulation.predict import rates_of
from harness.errors import ModelRejected

FACTOR_90 = 1.25
"""Of models that a fit of memory had not seen, 92 % (int8) and 98 % (float32) had a
peak within this factor of the predicted one; docs/reference/prediction-errors.md."""
_WORTH_COSTING = 0.25
"""Below this share of the memory nobody asks how large the activations are."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Memory that a model takes, in bytes."""

    least: int
    """Weights, and the activations that are alive together: no runtime takes less."""
    peak: int | None
    """Predicted of the profile's runtime; None where the profile has no model of it."""

    @property
    def low(self) -> float:
        """The lower end of the interval that holds 90 %."""
        return max(self.least, (self.peak or 0) / FACTOR_90)

    def sentence(self, limit: int) -> str:
        """Say what is needed and what is there."""
        told = f"at least {_size(self.least)} for weights and activations"
        if self.peak is not None:
            high = _size(self.peak * FACTOR_90)
            told = (
                f"{_size(self.peak)} at its peak, as predicted (90 %: "
                f"{_size(self.low)} to {high}), and {told}"
            )
        return f"The model needs {told}; the device has {_size(limit)}"


def require_room(path: Path, profile: DeviceProfile, *, is_emulated: bool) -> None:
    """Refuse a model of a user's own that the profile's memory cannot hold.

    A model of a device is believed to its interval; of a real device it has to be
    certain. Microcontrollers are left to their own account of storage and memory.

    Raises ModelRejected, also for a file that cannot be run or may not be.
    """
    limit = profile.ram_bytes
    if limit is None or not profile.is_os_class or path.is_dir():
        return
    if runtime_of(path) == GENAI:
        need = Need(least=_weights_beside(path), peak=None)
    else:
        model = read_vetted(path)
        files = (path, *external_files(model, path))
        size = sum(file.stat().st_size for file in files)
        if size <= _WORTH_COSTING * limit:
            return
        need = _need(cost_of_file(path), size, profile)
    if (need.low if is_emulated else need.least) > limit:
        raise ModelRejected(
            f"{need.sentence(limit)}, by its profile. Its weights were neither read "
            "nor sent",
            where=f"{path} on {profile.name}",
            remedy="Use a smaller model, or the profile of the device that you have.",
        )


def _weights_beside(configuration: Path) -> int:
    """Give the size of a folder's graphs and of their weights, whatever its layout."""
    files = configuration.parent.glob("*.onnx*")
    return sum(file.stat().st_size for file in files if file.is_file())


def why_too_large(
    model: ModelArtifact, path: Path, sut: SutDescription, profile: DeviceProfile
) -> str:
    """Say why a model cannot fit on a device; empty where it may, or is not known.

    The device's own account of its memory counts.
    """
    memory = sut.facts.get("memory_bytes", "")
    if not memory.isdecimal():
        return ""
    limit = int(memory)
    need = Need(least=model.size_bytes, peak=None)
    if model.size_bytes > _WORTH_COSTING * limit and path.suffix == ".onnx":
        bound = {one.name: one.shape for one in model.inputs}
        need = _need(cost_of_file(path, bound), model.size_bytes, profile)
    if need.least <= limit:
        return ""
    return f"{need.sentence(limit)}; it was not sent there. Use a smaller model."


def _need(cost: GraphCost, size: int, profile: DeviceProfile) -> Need:
    least = size + cost.arena_bytes
    if profile.emulation is None:
        return Need(least=least, peak=None)
    return Need(least=least, peak=footprint_of(rates_of(profile), cost).peak)


def _size(value: float) -> str:
    return f"{value / _GIB:.2f} GiB" if value >= _GIB / 100 else f"{value:.0f} bytes"
