"""What execution providers that are not here would take of a model, by their lists.

Each provider's own documentation lists the operators that it has; `providers.toml`
holds these lists with their sources. A list knows names only: types, shapes and opsets
may still be refused, so what comes out is the most that a provider would take. What one
that is here really takes, the runtime is asked (`harness.bench.inspecting`).
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import groupby

_FOLDED = frozenset({"Constant", "DequantizeLinear", "QuantizeLinear"})
"""Fold into their neighbours, on whatever provider these are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderList:
    """Operators that a provider has, by ONNX's names; of other domains with these."""

    name: str
    title: str
    source: str
    """Page and commit that the list is from."""
    read: str
    """The day on which it was read."""
    operators: frozenset[str]
    conditions: Mapping[str, str]
    """Operator → what is asked of it besides."""
    needs_fixed_sizes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The most that a provider would take of a model."""

    provider: str
    title: str
    source: str
    nodes: int
    """Nodes of the file that do work; quantising folds into its neighbours."""
    nodes_taken: int
    macs_ratio: float | None
    """Share of the multiply-accumulates; None where they are not known."""
    changes: int | None
    """How often execution would leave the provider on the way; None: not known."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Operators that it does not list → nodes."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Those of the model's operators that it takes under a condition."""
    needs_fixed_sizes: bool = False


@cache
def provider_lists() -> tuple[ProviderList, ...]:
    """Read the lists that come with the harness."""
    text = resources.files("harness.catalogue").joinpath("providers.toml").read_text()
    return tuple(
        ProviderList(
            name=one["name"],
            title=one["title"],
            source=one["source"],
            read=str(one["read"]),
            operators=frozenset(one["operators"]),
            conditions=one.get("conditions", {}),
            needs_fixed_sizes=one.get("needs_fixed_sizes", False),
        )
        for one in tomllib.loads(text)["provider"]
    )


def coverage(
    provider: ProviderList,
    operators: Mapping[str, int],
    kernels: Sequence[tuple[str, int]] = (),
) -> Coverage:
    """Hold a model against a list.

    `operators` counts its nodes by name; `kernels` are the operators that do its work
    with their multiply-accumulates, in order; empty: not known.
    """
    working = {name: n for name, n in operators.items() if name not in _FOLDED}
    listed = provider.operators | _FOLDED
    left = {name: n for name, n in working.items() if name not in listed}
    macs = sum(count for _, count in kernels)
    taken = sum(count for name, count in kernels if _is_listed(name, listed))
    runs = groupby(kernels, key=lambda kernel: _is_listed(kernel[0], listed))
    return Coverage(
        provider=provider.name,
        title=provider.title,
        source=f"{provider.source}, read {provider.read}",
        nodes=sum(working.values()),
        nodes_taken=sum(working.values()) - sum(left.values()),
        macs_ratio=taken / macs if macs else None,
        changes=sum(not is_taken for is_taken, _ in runs) if kernels else None,
        left=left,
        conditions={
            name: said for name, said in provider.conditions.items() if name in working
        },
        needs_fixed_sizes=provider.needs_fixed_sizes,
    )


def _is_listed(operator: str, listed: frozenset[str]) -> bool:
    """Say whether a kernel's operator, whose domain is not named, is in a list."""
    return operator in listed or f"com.microsoft:{operator}" in listed
