"""Bind every free dimension of a model's inputs to a size.

A dimension is free where the file gives a symbol, nothing, or a negative number. A
free batch axis is 1; every other free dimension has to be given, since a model that
"runs" on an image of 1 × 1 would be measured at nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ModelRejected, UnknownName

Dim = int | str | None

_TIME_OR_SPACE = re.compile(
    r"seq|len|time|frame|step|token|sample|height|width|^[tlhw]$", re.IGNORECASE
)
_LENGTH = re.compile(r"seq|len|token", re.IGNORECASE)
_MASK = re.compile(r"attention.?mask", re.IGNORECASE)
_NEW = re.compile(r"^input_ids$|^inputs_embeds$", re.IGNORECASE)
_PAST = re.compile(r"^past", re.IGNORECASE)
_CACHE_AXES = 4
"""A cache is […, heads, places, width]."""
_BATCH = re.compile(r"batch|^[nb]$|^bs$|^unk__", re.IGNORECASE)
"""``unk__63`` is tf2onnx's name of an unknown batch size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInput:
    """An input as the file declares it; a dimension is a size, a symbol or None."""

    name: str
    dtype: str
    dims: tuple[Dim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundShape:
    """The shape of one sample, and whether axis 0 may hold several."""

    sizes: tuple[int, ...]
    has_batch_axis: bool


def bind_shapes(
    inputs: Sequence[GraphInput], given: Mapping[str, tuple[int, ...]], where: str
) -> dict[str, BoundShape]:
    """Give every input its shape from what the user gave, by name.

    The same symbol has the same size everywhere. ``a + b`` is computed, and so is
    a decoder's ``total…`` length from its past and its new one. Raises UnknownName
    for a name that is neither input nor symbol, ModelRejected for a size that does
    not fit and for the first dimension that nobody gave.
    """
    binding = _Binding(inputs, where)
    for name, sizes in given.items():
        binding.take(name, sizes)
    batches = binding.bind_batch_axes()
    binding.bind_sums()
    grows = _may_grow(inputs, batches)
    return {
        one.name: BoundShape(
            sizes=binding.shape(one),
            has_batch_axis=grows and bool(one.dims),
        )
        for one in inputs
    }


def is_batch_like(dims: Sequence[Dim]) -> bool:
    """Say whether axis 0 holds samples: free, and not time or space by its name."""
    if not dims or isinstance(dims[0], int):
        return False
    symbol = dims[0] or ""
    if _BATCH.search(symbol):
        return True
    return len(dims) > 1 and not _TIME_OR_SPACE.search(symbol)


def _may_grow(inputs: Sequence[GraphInput], batches: set[tuple[str, int]]) -> bool:
    """Say whether all inputs can take several samples at once along axis 0."""
    shaped = [one for one in inputs if one.dims]
    if not all((one.name, 0) in batches for one in shaped):
        return False
    symbols = {one.dims[0] for one in shaped if one.dims[0] is not None}
    return not any(symbols & set(one.dims[1:]) for one in shaped)


class _Binding:
    """Sizes found so far: of symbols, and of axes that have none."""

    def __init__(self, inputs: Sequence[GraphInput], where: str) -> None:
        self._inputs = {one.name: one for one in inputs}
        self._symbols: dict[str, int] = {}
        self._axes: dict[tuple[str, int], int] = {}
        self._where = where

    def take(self, name: str, sizes: tuple[int, ...]) -> None:
        """Bind what the user gave, to a symbol or to a whole input."""
        if name in self._inputs:
            self._take_shape(self._inputs[name], sizes)
        elif name in self._known_symbols() and len(sizes) == 1:
            self._bind(name, sizes[0], f"dimension '{name}'")
        else:
            known = [*self._inputs, *self._known_symbols()]
            raise UnknownName("input or free dimension", name, known, where=self._where)

    def _take_shape(self, one: GraphInput, sizes: tuple[int, ...]) -> None:
        if len(sizes) != len(one.dims):
            raise ModelRejected(
                f"Input '{one.name}' has {len(one.dims)} axes, {_shown(one.dims)}, "
                f"but {len(sizes)} sizes are given",
                where=self._where,
                remedy=f"Give {len(one.dims)} sizes.",
            )
        for axis, (dim, size) in enumerate(zip(one.dims, sizes, strict=True)):
            place = f"axis {axis} of input '{one.name}'"
            if isinstance(dim, str):
                self._bind(dim, size, f"{place}, '{dim}',")
            elif dim is None:
                self._axes[one.name, axis] = size
            elif dim != size:
                raise self._conflict(place, dim, size)

    def bind_batch_axes(self) -> set[tuple[str, int]]:
        """Bind each free batch axis that was not given to 1; list those that are 1."""
        found = set()
        for one in self._inputs.values():
            if not is_batch_like(one.dims):
                continue
            symbol = one.dims[0]
            if isinstance(symbol, str):
                size = self._symbols.setdefault(symbol, 1)
            else:
                size = self._axes.setdefault((one.name, 0), 1)
            if size == 1:
                found.add((one.name, 0))
        return found

    def bind_sums(self) -> None:
        """Bind symbols that are sums of others (``past + seq``), and check them."""
        self._bind_total()
        for symbol in self._known_symbols():
            terms = [term.strip() for term in symbol.split("+")]
            values = [self._term(term) for term in terms]
            if len(terms) > 1 and all(value is not None for value in values):
                total = sum(value for value in values if value is not None)
                self._bind(symbol, total, f"dimension '{symbol}'")
        self._bind_mask()

    def _bind_total(self) -> None:
        """Bind a decoder's total length, or check it: what is past plus what is new."""
        symbols = [name for name in self._known_symbols() if "+" not in name]
        total = [name for name in symbols if "total" in name.lower()]
        past = [name for name in symbols if "past" in name.lower()]
        others = [name for name in symbols if name not in {*total, *past}]
        new = [name for name in others if _LENGTH.search(name)]
        if len(total) == len(past) == len(new) == 1:
            parts = [self._symbols.get(past[0]), self._symbols.get(new[0])]
            if parts[0] is not None and parts[1] is not None:
                self._bind(total[0], parts[0] + parts[1], f"dimension '{total[0]}'")

    def _bind_mask(self) -> None:
        """Bind what a decoder's mask spans, by role: the past and what is new.

        Its symbol may be of any name; a mask of another length would be run without a
        word by some graphs, and fail inside of others.
        """
        past = self._length(_PAST, -2, _CACHE_AXES)
        new = self._length(_NEW, 1, 2)
        if past is None or new is None:
            return
        for one in self._inputs.values():
            if not _MASK.search(one.name) or len(one.dims) != 2:  # noqa: PLR2004
                continue
            place, dim = f"axis 1 of input '{one.name}'", one.dims[1]
            if isinstance(dim, str):
                self._bind(dim, past + new, place)
            elif dim is None and self._axes.setdefault((one.name, 1), past + new) != (
                past + new
            ):
                raise self._conflict(place, past + new, self._axes[one.name, 1])

    def _length(self, role: re.Pattern[str], axis: int, axes: int) -> int | None:
        """Give the size of that axis of the first input of a role, if it is known."""
        for one in self._inputs.values():
            if role.search(one.name) and len(one.dims) >= axes:
                return self._size(one, axis % len(one.dims))
        return None

    def shape(self, one: GraphInput) -> tuple[int, ...]:
        """Give the sizes of an input. Raises ModelRejected for one nobody gave."""
        sizes = [self._size(one, axis) for axis in range(len(one.dims))]
        for axis, size in enumerate(sizes):
            if size is None:
                raise self._unbound(one, axis)
        return tuple(size for size in sizes if size is not None)

    def _size(self, one: GraphInput, axis: int) -> int | None:
        dim = one.dims[axis]
        if isinstance(dim, int):
            return dim
        if dim is None:
            return self._axes.get((one.name, axis))
        return self._symbols.get(dim)

    def _bind(self, symbol: str, size: int, place: str) -> None:
        if self._symbols.setdefault(symbol, size) != size:
            raise self._conflict(place, self._symbols[symbol], size)

    def _term(self, term: str) -> int | None:
        return int(term) if term.isdigit() else self._symbols.get(term)

    def _known_symbols(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(
                dim
                for one in self._inputs.values()
                for dim in one.dims
                if isinstance(dim, str)
            )
        )

    def _conflict(self, place: str, bound: int, given: int) -> ModelRejected:
        return ModelRejected(
            f"The size of {place} is {bound}, so it cannot be {given}",
            where=self._where,
            remedy="Give sizes that agree with the model and with each other.",
        )

    def _unbound(self, one: GraphInput, axis: int) -> ModelRejected:
        dim = one.dims[axis]
        called = f" ('{dim}')" if dim else ""
        whole = ",".join(str(size) for size in self._example(one))
        ways = [f"--shape '{one.name}={whole}'"]
        if isinstance(dim, str):
            ways.insert(0, f"--shape '{dim}=SIZE'")
        return ModelRejected(
            f"Axis {axis}{called} of input '{one.name}' {_shown(one.dims)} has no "
            "size, neither in the file nor given",
            where=self._where,
            remedy=f"Give it: {' or '.join(ways)}, with a number for each SIZE.",
        )

    def _example(self, one: GraphInput) -> Iterator[int | str]:
        for axis in range(len(one.dims)):
            size = self._size(one, axis)
            yield "SIZE" if size is None else size


def _shown(dims: Sequence[Dim]) -> str:
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in dims) + "]"
