"""A model in an InferenceSession: bound queries, and the plain call beside them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from harness.errors import Unsupported
from harness.runtimes.base import Feeds, Tensor

NUMPY_NAMES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}
"""The library's name of a type → numpy's."""


class OnnxSession:
    """A model in an InferenceSession. A `Session`."""

    def __init__(self, library: Any, session: Any) -> None:  # noqa: ANN401
        self._session = session
        self._inputs = [(i.name, tuple(i.shape)) for i in session.get_inputs()]
        declared = session.get_outputs()
        self._outputs = [
            (o.name, NUMPY_NAMES[o.type], tuple(o.shape))
            for o in declared
            if o.type in NUMPY_NAMES
        ]
        if not self._outputs:
            raise _without_numbers([(o.name, o.type) for o in declared])
        self._names = [name for name, *_ in self._outputs]
        self._buffers: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        # One RunOptions for all calls: without it the binding makes one a call, which
        # costs about a third of the call to an identity model.
        self._run_options = library.RunOptions()

    def bind(self, feeds: Feeds) -> "OnnxQuery | PlainQuery":
        """Bind inputs, and outputs too where the graph gives their shape.

        Outputs of unknown shape are allocated by the library in the first call and
        kept for those that follow. Text cannot be bound: it is passed in every call.
        """
        if any(tensor.dtype.kind == "U" for tensor in feeds.values()):
            return PlainQuery(partial(self.compute, dict(feeds)))
        binding = self._session.io_binding()
        for name, tensor in feeds.items():
            binding.bind_cpu_input(name, tensor)
        sizes = self._symbols(feeds)
        buffers: list[Tensor | None] = []
        for name, dtype, dims in self._outputs:
            shape = _resolved(dims, sizes)
            if shape is None:
                binding.bind_output(name, "cpu")
                buffers.append(None)
                continue
            buffer = self._buffer(name, dtype, shape)
            place = buffer.ctypes.data
            binding.bind_output(name, "cpu", 0, buffer.dtype.type, shape, place)
            buffers.append(buffer)
        # The inner session's method is what InferenceSession.run_with_iobinding ends
        # in; going there directly saves half a microsecond of checks a call.
        run = self._session._sess.run_with_iobinding  # noqa: SLF001
        call = partial(run, binding._iobinding, self._run_options)  # noqa: SLF001
        return OnnxQuery(call, binding, buffers)

    def _buffer(self, name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
        """Give the one buffer for that output, so that many queries take no more."""
        key = (name, shape)
        if key not in self._buffers:
            self._buffers[key] = np.zeros(shape, dtype)
        return self._buffers[key]

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        """Execute by InferenceSession.run, which allocates its outputs.

        Only tensors of numbers are given; maps, sequences and text are left out.
        """
        return tuple(self._session.run(self._names, dict(feeds)))

    def close(self) -> None:
        """Let the library's session go."""
        self._session = None
        self._buffers.clear()

    def _symbols(self, feeds: Feeds) -> dict[str, int]:
        """Give the sizes that these inputs bind to the graph's symbols."""
        return {
            dim: size
            for name, dims in self._inputs
            if name in feeds
            for dim, size in zip(dims, feeds[name].shape, strict=False)
            if isinstance(dim, str)
        }


class OnnxQuery:
    """A binding with its buffers. A `BoundQuery`."""

    def __init__(
        self,
        call: Callable[[], object],
        binding: Any,  # noqa: ANN401 - untyped library
        buffers: Sequence[Tensor | None],
    ) -> None:
        self.call = call
        self._binding = binding
        self._buffers = tuple(buffers)

    def outputs(self) -> tuple[Tensor, ...]:
        """Give the outputs of the last call."""
        known = tuple(buffer for buffer in self._buffers if buffer is not None)
        if len(known) == len(self._buffers):
            return known
        return tuple(self._binding.copy_outputs_to_cpu())


class PlainQuery:
    """A query whose inputs the library takes in each call. A `BoundQuery`."""

    def __init__(self, compute: Callable[[], tuple[Tensor, ...]]) -> None:
        self._compute = compute
        self._last: tuple[Tensor, ...] = ()

    def call(self) -> None:
        """Execute the model and keep its outputs."""
        self._last = self._compute()

    def outputs(self) -> tuple[Tensor, ...]:
        """Give the outputs of the last call."""
        return self._last


def _without_numbers(outputs: Sequence[tuple[str, str]]) -> Unsupported:
    said = ", ".join(f"'{name}' is a {form}" for name, form in outputs)
    return Unsupported(
        f"No output of the model is a tensor of numbers: {said}",
        remedy="Export the model with one (scikit-learn: without ZipMap).",
    )


def _resolved(
    dims: Sequence[int | str | None], sizes: Mapping[str, int]
) -> tuple[int, ...] | None:
    """Give the shape, or None where a dimension is known only after the call."""
    shape = [sizes.get(dim) if isinstance(dim, str) else dim for dim in dims]
    if any(size is None for size in shape):
        return None
    return tuple(size for size in shape if size is not None)
