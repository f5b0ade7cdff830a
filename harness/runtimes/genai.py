"""onnxruntime-genai: language models as folders, with the library's own loop.

A model is a folder with ``genai_config.json``, as its model builder writes it for
Llama, Qwen, Phi and others. The library holds one generator a user; several users
take their steps in turn, not together. A generator is made anew for each prompt,
inside the time to the first token, as a program that answers a user has to.

The end token is masked where a shorter answer is not wanted: the library would stop.
"""

import gc
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import Inspection, ModelFile, Session
from harness.runtimes.onnxrt import TELEMETRY_OFF

CONFIG = "genai_config.json"
_PROVIDERS = {
    "CUDAExecutionProvider": "cuda",
    "DmlExecutionProvider": "dml",
    "QNNExecutionProvider": "qnn",
    "OpenVINOExecutionProvider": "OpenVINO",
    "WebGpuExecutionProvider": "webgpu",
}
"""onnxruntime's name → the library's; the CPU has none."""
_CPU = "CPUExecutionProvider"
_REASON_LENGTH = 400


@contextmanager
def open_runtime() -> Iterator["GenaiRuntime"]:
    """Load onnxruntime-genai. Raises Unsupported where it is missing."""
    os.environ.update(TELEMETRY_OFF)
    try:
        import onnxruntime_genai  # noqa: PLC0415 - an extra, only when asked for
    except ImportError as error:
        raise Unsupported(
            f"onnxruntime-genai cannot be loaded: {error}",
            remedy="pip install 'duanping[genai]'",
        ) from error
    yield GenaiRuntime(onnxruntime_genai)


class GenaiRuntime:
    """The library, loaded. A `Runtime` of language models only."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401 - untyped module
        self._library = library

    def identify(self) -> dict[str, str]:
        """Give name and version."""
        return {
            "runtime": "onnxruntime-genai",
            "runtime_version": str(self._library.__version__),
        }

    def load(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> AbstractContextManager[Session]:
        """Refuse: the library has no single inferences. Raises Unsupported."""
        del settings
        raise Unsupported(
            "onnxruntime-genai answers token by token and nothing else",
            where=str(model.folder),
            remedy="Measure LlmDecode or ColdStart, or use onnxruntime.",
        )

    @contextmanager
    def load_decoder(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> Iterator["GenaiDecoder"]:
        """Have a folder ready. Raises ModelRejected, Unsupported or MemoryError."""
        config = self._config(model, settings)
        try:
            loaded = self._library.Model(config)
        except (RuntimeError, ValueError) as error:
            raise ModelRejected(
                f"onnxruntime-genai refuses the model: {_one_line(error)}",
                where=str(model.folder),
                remedy="Build the folder with the model builder of this version.",
            ) from error
        decoder = GenaiDecoder(self._library, loaded)
        try:
            yield decoder
        finally:
            decoder.close()
            gc.collect()

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        """Say nothing: the library does not tell what it made of a model."""
        del model, settings
        return Inspection()

    @contextmanager
    def explained(self, where: str) -> Iterator[None]:
        """Turn the library's errors, RuntimeErrors all, into TargetError."""
        try:
            yield
        except RuntimeError as error:
            raise TargetError(
                f"onnxruntime-genai failed: {_one_line(error)}",
                where=where,
                remedy="Look at the model's folder and at its context length.",
            ) from error

    def _config(self, model: ModelFile, settings: RuntimeSettings) -> Any:  # noqa: ANN401
        if settings.provider != _CPU and settings.provider not in _PROVIDERS:
            known = ", ".join((_CPU, *sorted(_PROVIDERS)))
            raise Unsupported(
                f"onnxruntime-genai has no {settings.provider}",
                remedy=f"Use one of: {known}.",
            )
        try:
            config = self._library.Config(str(model.folder))
            config.clear_providers()
            if settings.provider != _CPU:
                config.append_provider(_PROVIDERS[settings.provider])
            threads = {"intra_op_num_threads": settings.intra_op_threads}
            overlay = {"model": {"decoder": {"session_options": threads}}}
            config.overlay(json.dumps(overlay))
        except RuntimeError as error:
            raise ModelRejected(
                f"The folder's {CONFIG} cannot be used: {_one_line(error)}",
                where=str(model.folder),
                remedy="Build the folder with the model builder of this version.",
            ) from error
        return config


class GenaiDecoder:
    """A model of the library with a generator for each user. A `DecodingSession`."""

    cache_bytes_per_token: int | None = None
    """The library does not say what a token of context takes."""

    def __init__(self, library: Any, model: Any) -> None:  # noqa: ANN401
        self._library = library
        self._model = model
        self._tokens = 0
        self._least = 0
        self._has_numbers = False
        self._generators: list[Any] = []

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Let go of the users there were; room for new ones is made by `prefill`."""
        self._generators = [None] * users
        # the library gives no token without a place for it in the context
        self._tokens = tokens + 1
        self._least = 0 if may_end else tokens + 1

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        """Make a generator, take the prompt, give the first token."""
        self._generators[user] = None
        parameters = self._library.GeneratorParams(self._model)
        parameters.set_search_options(
            max_length=self._tokens, min_length=self._least, do_sample=False
        )
        generator = self._library.Generator(self._model, parameters)
        generator.append_tokens(np.asarray(prompt, np.int32))
        if not self._has_numbers:
            self._require_numbers(generator, len(prompt))
        self._generators[user] = generator
        return _next(generator)

    def step(self) -> list[int]:
        """Give the next token of each user, one after the other."""
        return [_next(generator) for generator in self._generators]

    def _require_numbers(self, generator: Any, tokens: int) -> None:  # noqa: ANN401
        """Look at the logits of the first prompt: a copy, too dear for the timed."""
        if not np.isfinite(np.asarray(generator.get_logits()).max()):
            raise TargetError(
                f"The logits are no numbers (NaN or infinity) after {tokens} tokens",
                remedy="Check the model's weights and their quantisation.",
            )
        self._has_numbers = True

    def close(self) -> None:
        """Let the model and all generators go."""
        self._generators.clear()
        self._model = None


def _next(generator: Any) -> int:  # noqa: ANN401
    generator.generate_next_token()
    return int(generator.get_next_tokens()[0])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_REASON_LENGTH]
