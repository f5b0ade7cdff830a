"""Would a model fit into a device's memory at all? Asked before it is sent there."""

from pathlib import Path

from harness.domain.sut import SutDescription
from harness.domain.workload import ModelArtifact
from harness.emulation.graph_cost import cost_of_file

_WORTH_COSTING = 0.25
"""Below this share of the memory nobody asks how large the activations are."""


def why_too_large(model: ModelArtifact, path: Path, sut: SutDescription) -> str:
    """Say why a model cannot fit on a device; empty where it may, or is not known.

    The least that a runtime holds at once: the weights, and the activations that are
    alive together (`harness.emulation.graph_cost`). A runtime takes more.
    """
    memory = sut.facts.get("memory_bytes", "")
    if not memory.isdecimal():
        return ""
    limit, least = int(memory), model.size_bytes
    if _WORTH_COSTING * limit < least <= limit:
        bound = {one.name: one.shape for one in model.inputs}
        least += cost_of_file(path, bound).arena_bytes
    if least <= limit:
        return ""
    return (
        f"The model needs at least {least} bytes of memory for weights and "
        f"activations, and the device has {limit}; it was not sent there. Use a "
        "smaller model."
    )
