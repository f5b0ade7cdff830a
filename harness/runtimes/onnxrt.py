"""onnxruntime, with everything fixed that it would otherwise decide by itself.

Telemetry is off: the variables are set before the library loads, since turning it
off afterwards is too late (onnxruntime, "Privacy.md", and seen with strace). A
provider that was asked for and is not there is an error, never a silent CPU. Versions
before 1.24.1 are refused: they read any file that a model names as external data.
"""

import gc
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import Inspection, ModelFile
from harness.runtimes.onnxbytes import count_operators
from harness.runtimes.onnxdecoder import (
    OnnxDecoder,
    memory_of,
    signature_of,
)
from harness.runtimes.onnxsession import NUMPY_NAMES, OnnxSession

FLOOR = (1, 24, 1)
TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
"""Both names that the library has had for the switch."""

QUANTISED = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulInteger16",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QConvTranspose",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
"""Operators whose kernels multiply integers (onnxruntime, "ContribOperators.md")."""
NOT_QUANTISED = frozenset(
    {
        "Conv",
        "ConvTranspose",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gemm",
        "MatMul",
        "NhwcFusedConv",
    }
)
"""The same work in reals."""

_CUDA = "CUDAExecutionProvider"
_OUT_OF_MEMORY = ("allocate memory", "bad_alloc", "bad allocation", "out of memory")
_COMPILED = "compiled nodes"
"""In what the library says of a graph that a provider has compiled: such a graph it
does not write to a file (onnxruntime 1.24 with OpenVINO)."""
_ERRORS_ONLY = 3
_REASON_LENGTH, _HEAD_LENGTH = 400, 150


@contextmanager
def open_runtime() -> Iterator["OnnxRuntime"]:
    """Load onnxruntime. Raises Unsupported where it is missing or too old."""
    os.environ.update(TELEMETRY_OFF)
    try:
        import onnxruntime  # noqa: PLC0415 - only when a runtime is asked for
    except ImportError as error:
        raise Unsupported(
            f"onnxruntime cannot be loaded: {error}",
            remedy="pip install 'onnxruntime>=1.24.1'",
        ) from error
    require_version(onnxruntime.__version__)
    yield OnnxRuntime(onnxruntime)


def require_version(version: str) -> None:
    """Raise Unsupported for a version below the floor."""
    digits = version.partition("+")[0].split(".")[:3]
    numbers = tuple(int(part) for part in digits if part.isdigit())
    if numbers < FLOOR:
        raise Unsupported(
            f"onnxruntime {version} reads any file that a model names",
            remedy="pip install 'onnxruntime>=1.24.1'",
        )


class OnnxRuntime:
    """The library, loaded. A `Runtime`."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401 - untyped module
        self._ort = library
        # pybind11 gives each of the library's errors Exception itself as its base.
        module = library.capi.onnxruntime_pybind11_state
        own = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Exception)
        ]
        # A bound call raises RuntimeError itself where its session.run does not.
        self._errors: tuple[type[Exception], ...] = (*own, RuntimeError)

    def identify(self) -> dict[str, str]:
        """Give version, build and the providers that this build has."""
        return {
            "runtime": "onnxruntime",
            "runtime_version": str(self._ort.__version__),
            "runtime_build": str(self._ort.get_build_info()),
            "providers": ", ".join(self._ort.get_available_providers()),
        }

    @contextmanager
    def load(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> Iterator["OnnxSession"]:
        """Have the model ready. Raises ModelRejected, Unsupported or MemoryError."""
        options = self._options(settings, model.folder)
        session = OnnxSession(self._ort, self._open(model, settings, options))
        try:
            yield session
        finally:
            session.close()
            gc.collect()

    @contextmanager
    def load_decoder(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> Iterator[OnnxDecoder]:
        """Have a decoder ready. Raises ModelRejected, Unsupported or MemoryError."""
        memory = memory_of(settings.provider)
        options = self._options(settings, model.folder)
        session = self._open(model, settings, options)
        graph = signature_of(session, count_operators(model.data), NUMPY_NAMES)
        decoder = OnnxDecoder(self._ort, session, graph, memory)
        try:
            yield decoder
        finally:
            decoder.close()
            gc.collect()

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        """Count integer kernels and nodes per provider in the optimised model.

        A provider that compiles its part of the graph lets nobody see its kernels:
        then only the nodes that it took are counted.
        """
        try:
            return self._inspected(model, settings)
        except ModelRejected as refusal:
            if _COMPILED not in refusal.what:
                raise
        session = self._open(model, settings, self._recording(settings, model))
        return Inspection(placement=_placement(session))

    def _inspected(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        options = self._recording(settings, model)
        with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
            written = Path(folder, "optimised.onnx")
            options.optimized_model_filepath = str(written)
            session = self._open(model, settings, options)
            operators = count_operators(written.read_bytes())
        quantised = sum(operators[name] for name in QUANTISED)
        return Inspection(
            quantised_nodes=quantised,
            quantisable_nodes=quantised + sum(operators[n] for n in NOT_QUANTISED),
            placement=_placement(session),
        )

    def _recording(self, settings: RuntimeSettings, model: ModelFile) -> Any:  # noqa: ANN401
        """Give options with which a session remembers which provider took what."""
        options = self._options(settings, model.folder)
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options

    @contextmanager
    def explained(self, where: str) -> Iterator[None]:
        """Turn onnxruntime's errors into TargetError or MemoryError."""
        try:
            yield
        except self._errors as error:
            reason = _one_line(error)
            if _is_out_of_memory(reason):
                raise MemoryError(reason) from error
            raise TargetError(
                f"onnxruntime failed: {reason}",
                where=where,
                remedy="Look at the model's inputs and operators.",
            ) from error

    def _open(self, model: ModelFile, settings: RuntimeSettings, options: Any) -> Any:  # noqa: ANN401
        available = self._ort.get_available_providers()
        if settings.provider not in available:
            raise Unsupported(
                f"This onnxruntime has no {settings.provider}",
                where=f"onnxruntime {self._ort.__version__}",
                remedy=f"Use one of: {', '.join(available)}.",
            )
        if settings.provider == _CUDA:
            self._load_cuda()
        try:
            session = self._ort.InferenceSession(
                model.data,
                options,
                providers=[(settings.provider, dict(settings.provider_options))],
                enable_fallback=0,
            )
        except self._errors as error:
            raise _refusal(_one_line(error)) from error
        if session.get_providers()[0] != settings.provider:
            raise Unsupported(
                f"{settings.provider} is there but could not be started",
                remedy="Look at its driver and its libraries.",
            )
        return session

    def _load_cuda(self) -> None:
        """Load CUDA's libraries out of NVIDIA's packages, where those are installed.

        The provider itself would find them on the loader's path only (onnxruntime,
        "CUDA Execution Provider", "Preload DLLs").
        """
        if hasattr(self._ort, "preload_dlls"):
            with redirect_stdout(sys.stderr):  # it prints what it does not find
                self._ort.preload_dlls()

    def _options(self, settings: RuntimeSettings, folder: Path) -> Any:  # noqa: ANN401
        levels = self._ort.GraphOptimizationLevel
        by_name = {
            "off": levels.ORT_DISABLE_ALL,
            "basic": levels.ORT_ENABLE_BASIC,
            "extended": levels.ORT_ENABLE_EXTENDED,
            "all": levels.ORT_ENABLE_ALL,
        }
        if settings.optimisation not in by_name:
            raise Unsupported(
                f"onnxruntime has no optimisation level '{settings.optimisation}'",
                remedy=f"Use one of: {', '.join(by_name)}.",
            )
        options = self._ort.SessionOptions()
        options.graph_optimization_level = by_name[settings.optimisation]
        options.intra_op_num_threads = settings.intra_op_threads
        options.inter_op_num_threads = settings.inter_op_threads
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        for key, value in session_config(settings, folder).items():
            options.add_session_config_entry(key, value)
        return options


def session_config(settings: RuntimeSettings, folder: Path) -> dict[str, str]:
    """Give the library's own settings that are fixed beside threads and level.

    Threads wait by spinning only where there is more than one: the pool of one is
    the caller's own thread.
    """
    spinning = "1" if settings.intra_op_threads > 1 else "0"
    return {
        "session.intra_op.allow_spinning": spinning,
        "session.inter_op.allow_spinning": "0",
        "session.model_external_initializers_file_folder_path": str(folder),
    }


def _placement(session: Any) -> dict[str, int]:  # noqa: ANN401 - untyped library
    placed = Counter[str]()
    for part in session.get_provider_graph_assignment_info():
        placed[part.ep_name] += len(part.get_nodes())
    return dict(placed)


def _refusal(reason: str) -> Exception:
    if _is_out_of_memory(reason):
        return MemoryError(reason)
    return ModelRejected(
        f"onnxruntime refuses the model: {reason}",
        remedy="Check it with onnx.checker, and its opset against this onnxruntime.",
    )


def _is_out_of_memory(reason: str) -> bool:
    return any(sign in reason.lower() for sign in _OUT_OF_MEMORY)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    text = text.replace("[ONNXRuntimeError] : ", "")
    if len(text) <= _REASON_LENGTH:
        return text
    # a provider's own words come last, behind the places that they went through
    return f"{text[:_HEAD_LENGTH]} … {text[_HEAD_LENGTH - _REASON_LENGTH :]}"
