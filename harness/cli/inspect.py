"""``duanping inspect``: what is in a model file, what it costs, who would take it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.bench.inspecting import Placement, placements
from harness.catalogue.anatomy import Anatomy, Port, take_apart
from harness.catalogue.bindings import parse_bindings
from harness.catalogue.describe import describe
from harness.catalogue.language import one_call
from harness.catalogue.providers import Coverage, coverage, provider_lists
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.cli._progress import announced
from harness.domain.workload import InputSpec
from harness.emulation.graph_cost import GraphCost, cost_of_file
from harness.emulation.operators import OperatorClass
from harness.errors import UsageError
from harness.schema.codec import to_plain

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """Inputs as they would be fed and what one inference costs; or why not."""

    inputs: tuple[InputSpec, ...] = ()
    cost: GraphCost | None = None
    reason: str = ""


@app.command()
def inspect(
    model: Annotated[Path, typer.Argument(help="An ONNX file.")],
    *,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="input=1,3,224,224 or symbol=224; may be repeated."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="input=low:high; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the facts as JSON.")
    ] = False,
) -> None:
    """Say what a model holds: inputs, operators, cost, quantisation, placement."""
    anatomy = take_apart(model)
    bound = _bound(model, shape or [], ranges or [])
    with announced(Console(stderr=True), "Asking the execution providers …"):
        placed = placements(anatomy.sha256, model, anatomy.external)
    would = _would_take(anatomy, bound)
    if as_json:
        print_json(_facts(anatomy, bound, placed, would))
        return
    out = console()
    for table in (
        _summary(anatomy),
        _ports(anatomy, bound),
        _operators(anatomy),
        *([_costs(bound.cost)] if bound.cost else []),
        _placements(placed),
        _coverages(anatomy, would),
    ):
        out.print(table)
    _print_conditions(would)
    if bound.reason:
        out.print(escape(f"Not ready to run: {bound.reason}"), soft_wrap=True)


def _bound(model: Path, shapes: list[str], ranges: list[str]) -> _Bound:
    try:
        given = one_call(model, parse_bindings(shapes, ranges, None))
        described = describe(model, given)
    except UsageError as error:
        if shapes or ranges:
            raise
        return _Bound(reason=str(error))
    sizes = {one.name: one.shape for one in described.inputs}
    return _Bound(inputs=described.inputs, cost=cost_of_file(model, sizes))


def _would_take(anatomy: Anatomy, bound: _Bound) -> tuple[Coverage, ...]:
    """Hold the model against the list of every provider."""
    nodes = bound.cost.nodes if bound.cost else ()
    kernels = [(node.operator, node.macs) for node in nodes]
    return tuple(
        coverage(provider, anatomy.operators, kernels) for provider in provider_lists()
    )


def _facts(
    anatomy: Anatomy,
    bound: _Bound,
    placed: tuple[Placement, ...],
    would: tuple[Coverage, ...],
) -> dict[str, Any]:
    return {
        **to_plain(anatomy),
        "free_dims": list(anatomy.free_dims),
        "filled": to_plain(list(bound.inputs), list),
        "not_ready": bound.reason,
        "cost": _cost_facts(bound.cost) if bound.cost else None,
        "placements": to_plain(list(placed), list),
        "would_take": to_plain(list(would), list),
    }


def _cost_facts(cost: GraphCost) -> dict[str, Any]:
    return {
        "macs": cost.macs,
        "weight_bytes": cost.weight_bytes,
        "activation_bytes": cost.activation_bytes,
        "arena_bytes": cost.arena_bytes,
        "kernels": cost.kernels,
        "unknown_operators": list(cost.unknown_operators),
        "unknown_shapes": list(cost.unknown_shapes),
        "by_class": {name: facts for name, *facts in _by_class(cost)},
    }


def _by_class(cost: GraphCost) -> list[tuple[str, int, int, int, int]]:
    """Give class, kernels, MACs, bytes of weights and of activations."""
    rows = []
    for kind in OperatorClass:
        kernels = cost.of_class(kind)
        if kernels:
            macs = sum(kernel.macs for kernel in kernels)
            weights = sum(kernel.weight_bytes for kernel in kernels)
            moved = sum(kernel.activation_bytes for kernel in kernels)
            rows.append((kind.value, len(kernels), macs, weights, moved))
    return rows


def _summary(anatomy: Anatomy) -> Table:
    kinds = anatomy.quantisation_kinds
    mixed = f" (mixed: {', '.join(kinds)})" if len(kinds) > 1 else ""
    table = Table(show_header=False, title=escape(anatomy.path.name))
    table.add_row("sha256", anatomy.sha256)
    table.add_row("size", f"{anatomy.size_bytes:,} bytes")
    table.add_row("external data", escape(", ".join(anatomy.external)) or "none")
    table.add_row("format", f"IR version {anatomy.ir_version}")
    table.add_row("opsets", ", ".join(f"{d} {v}" for d, v in anatomy.opsets.items()))
    table.add_row("producer", escape(anatomy.producer) or "not said")
    table.add_row("parameters", f"{anatomy.parameters or 0:,}")
    table.add_row("quantisation", escape(anatomy.quantisation + mixed))
    table.add_row("free dimensions", escape(", ".join(anatomy.free_dims)) or "none")
    return table


def _ports(anatomy: Anatomy, bound: _Bound) -> Table:
    filled = {spec.name: spec for spec in bound.inputs}
    table = Table()
    for column in ("", "name", "type", "shape", "fed with"):
        table.add_column(column, overflow="fold")
    for kind, ports in (("input", anatomy.inputs), ("output", anatomy.outputs)):
        for port in ports:
            fed = _fed(filled.get(port.name)) if kind == "input" else ""
            table.add_row(kind, escape(port.name), port.form, escape(_shape(port)), fed)
    return table


def _shape(port: Port) -> str:
    return "not said" if port.dims is None else f"[{', '.join(map(str, port.dims))}]"


def _fed(spec: InputSpec | None) -> str:
    if spec is None:
        return "–"
    sizes = "×".join(map(str, spec.shape)) or "one number"
    if spec.follows is not None:
        return f"{sizes}: zeros, then output {spec.follows} of the query before"
    return f"{sizes}: {spec.fill} {spec.low:g} … {spec.high:g}"


def _operators(anatomy: Anatomy) -> Table:
    table = Table(title=f"{anatomy.nodes} nodes", title_justify="left")
    table.add_column("operator")
    table.add_column("nodes", justify="right")
    for name, count in anatomy.operators.items():
        table.add_row(escape(name), str(count))
    return table


def _costs(cost: GraphCost) -> Table:
    table = Table(title="One inference", title_justify="left")
    table.add_column("class")
    for column in ("kernels", "MACs", "weight bytes", "activation bytes"):
        table.add_column(column, justify="right")
    for name, *numbers in _by_class(cost):
        table.add_row(name, *(f"{number:,}" for number in numbers))
    total = (cost.kernels, cost.macs, cost.weight_bytes, cost.activation_bytes)
    table.add_row("all", *(f"{number:,}" for number in total), style="bold")
    if cost.unknown_operators or cost.unknown_shapes:
        table.caption = (
            f"Counted in part: operators {', '.join(cost.unknown_operators) or '–'}; "
            f"{len(cost.unknown_shapes)} nodes of unknown shape"
        )
    return table


def _placements(placed: tuple[Placement, ...]) -> Table:
    table = Table(title="Execution providers on this machine", title_justify="left")
    for column in ("asked for", "nodes after optimisation", "integer kernels"):
        table.add_column(column, overflow="fold")
    for one in placed:
        nodes = ", ".join(f"{name} {count}" for name, count in one.nodes.items())
        fused = "–"
        if one.quantisable_nodes:
            fused = f"{one.quantised_nodes} of {one.quantisable_nodes}"
        table.add_row(one.provider, escape(nodes or one.reason), fused)
    return table


def _coverages(anatomy: Anatomy, would: tuple[Coverage, ...]) -> Table:
    table = Table(title="Execution providers elsewhere, at most", title_justify="left")
    for column in ("provider", "nodes", "of the MACs", "leaves it", "does not list"):
        table.add_column(column, overflow="fold")
    for one in would:
        share = "–" if one.macs_ratio is None else f"{one.macs_ratio:.1%}"
        changes = "–" if one.changes is None else f"{one.changes} times"
        left = ", ".join(f"{name} {count}" for name, count in one.left.items())
        if one.needs_fixed_sizes and anatomy.free_dims:
            left = f"{left}; free dimensions".removeprefix("; ")
        table.add_row(
            f"{one.provider}: {one.title}",
            f"{one.nodes_taken} of {one.nodes}",
            share,
            changes,
            escape(left) or "–",
        )
    table.caption = "By their lists of operators; types and shapes may still be refused"
    return table


def _print_conditions(would: tuple[Coverage, ...]) -> None:
    """Print what each list asks besides, and where it is from."""
    out = console()
    for one in would:
        asked = "; ".join(f"{name} {said}" for name, said in one.conditions.items())
        said = f" Asks: {asked}." if asked else ""
        text = f"{one.provider}: {one.source}.{said}"
        out.print(escape(text), soft_wrap=True, highlight=False)
