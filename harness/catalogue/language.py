"""Language models: what is to be known of one before it is asked anything.

A graph says its inputs and its vocabulary, and neither how long a context it was made
for nor which token ends an answer. A folder of onnxruntime-genai says both; for a
graph alone the user does (``--shape context=4096``).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from harness.catalogue.bindings import InputBindings
from harness.catalogue.describe import declared, describe, model_name
from harness.catalogue.vet import read_vetted
from harness.domain.cache import FED, LOGITS, TOKENS, Sizes, caches_of, is_decoder
from harness.domain.workload import DecoderFacts, Fill, InputSpec, ModelArtifact
from harness.errors import ModelRejected, Unsupported, UsageError
from harness.links.filedigest import digest_of, model_files

CONFIG = "genai_config.json"
GENAI, ONNXRUNTIME = "onnxruntime-genai", "onnxruntime"
CONTEXT = "context"
_CALL_TOKENS = 8
"""Of a single call that is looked at or compared, and not timed."""


def runtime_of(path: Path) -> str:
    """Name the runtime that a model is made for."""
    return GENAI if _folder(path) is not None else ONNXRUNTIME


def file_of(path: Path) -> Path:
    """Give the file that stands for a model: of a folder, its configuration."""
    folder = _folder(path)
    return path if folder is None else folder / CONFIG


def title_of(path: Path) -> str:
    """Give the name that a user's model goes by: of a folder all of it, dots too."""
    folder = _folder(path)
    return path.stem if folder is None else folder.resolve().name


def describe_model(path: Path, bindings: InputBindings) -> ModelArtifact:
    """Describe a user's model of whatever kind: a graph, a decoder, a folder.

    Raises as `harness.catalogue.describe.describe` does, and ModelRejected or
    UsageError for a language model of which too little is known.
    """
    folder = _folder(path)
    if folder is not None:
        return _of_folder(folder)
    if path.is_dir():
        raise ModelRejected(
            f"This folder holds no {CONFIG}",
            where=str(path),
            remedy="Name an .onnx file, or a folder for onnxruntime-genai.",
        )
    graph = read_vetted(path).graph
    if not _is_decoder(graph, path):
        return describe(path, bindings)
    return _of_graph(path, graph, bindings)


def _folder(path: Path) -> Path | None:
    folder = path.parent if path.name == CONFIG else path
    return folder if (folder / CONFIG).is_file() else None


def _is_decoder(graph: onnx.GraphProto, path: Path) -> bool:
    inputs, outputs = _ports(graph, path)
    try:
        return is_decoder(inputs, outputs)
    except ValueError as error:
        raise ModelRejected(
            f"The cache '{error}' does not say how many heads it has, or how wide",
            where=str(path),
            remedy="Export it as [batch, heads, past, head] with fixed heads.",
        ) from error


def _ports(
    graph: onnx.GraphProto, path: Path
) -> tuple[dict[str, tuple[str, Sizes]], set[str]]:
    """Give dtype and sizes of each input by name, and the names of the outputs."""
    inputs: dict[str, tuple[str, Sizes]] = {
        one.name: (one.dtype, one.dims) for one in declared(graph, str(path))
    }
    return inputs, {value.name for value in graph.output}


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Give the sizes of a tensor, those that are open as 1."""
    return tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)


def _of_graph(
    path: Path, graph: onnx.GraphProto, bindings: InputBindings
) -> ModelArtifact:
    context = bindings.shapes.get(CONTEXT, ())
    if len(context) != 1 or context[0] < 1:
        raise UsageError(
            "This is a language model, and its graph does not say how long a context "
            "it was made for",
            where=str(path),
            remedy="Give it: --shape context=4096.",
        )
    _require_fed(graph, path)
    described = describe(
        path, replace(_after_nothing(graph, path, 1), ranges=bindings.ranges)
    )
    facts = DecoderFacts(vocabulary=_vocabulary(graph, path), context=context[0])
    tokens = tuple(one for one in described.inputs if one.name == TOKENS)
    return replace(described, inputs=tokens, decoder=facts)


def _require_fed(graph: onnx.GraphProto, path: Path) -> None:
    """Refuse a decoder that asks for more than tokens, such as an encoder's states."""
    inputs, outputs = _ports(graph, path)
    pasts = {one.past for one in caches_of(inputs, outputs)}
    unknown = sorted(inputs.keys() - pasts - FED)
    if unknown:
        raise Unsupported(
            f"Nothing is known to feed the decoder's input '{unknown[0]}'",
            where=str(path),
            remedy="Export it with input_ids, attention_mask, position_ids and a past.",
        )


def _vocabulary(graph: onnx.GraphProto, path: Path) -> int:
    for value in graph.output:
        if value.name == LOGITS and _sizes(value)[-1:] > (1,):
            return _sizes(value)[-1]
    raise ModelRejected(
        "The logits do not say how many tokens there are",
        where=str(path),
        remedy="Export the model with a fixed last axis of logits.",
    )


def _of_folder(folder: Path) -> ModelArtifact:
    """Describe a folder; its digest is of the configuration and all files beside it."""
    config = _read(folder / CONFIG)
    model = _table(config, "model", folder)
    decoder = _table(model, "decoder", folder)
    name = str(decoder.get("filename", ""))
    others = tuple(
        sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != CONFIG)
    )
    if name not in others:
        raise ModelRejected(
            f"The decoder's file {name!r} is not in the folder",
            where=str(folder),
            remedy="Copy the whole folder.",
        )
    graph_path, files = folder / name, model_files(folder / CONFIG, others)
    ends = model.get("eos_token_id", [])
    facts = DecoderFacts(
        vocabulary=_number(model, "vocab_size", folder),
        context=_number(model, "context_length", folder),
        end_tokens=tuple(ends) if isinstance(ends, list) else (int(ends),),
    )
    graph = read_vetted(graph_path).graph
    described = describe(graph_path, _after_nothing(graph, graph_path, 1))
    return ModelArtifact(
        name=model_name(Path(f"{title_of(folder)}.onnx")),
        sha256=digest_of(files),
        size_bytes=sum(file.stat().st_size for file in files),
        external=others,
        inputs=(
            InputSpec(
                name=TOKENS,
                dtype="int64",
                shape=(1, 1),
                fill=Fill.UNIFORM,
                high=float(facts.vocabulary - 1),
            ),
        ),
        task=str(model.get("type", "")),
        quantisation=described.quantisation,
        opset=described.opset,
        parameters=described.parameters,
        decoder=facts,
    )


def one_call(path: Path, bindings: InputBindings) -> InputBindings:
    """Bind the open sizes of a decoder for a single call: a few tokens after nothing.

    What the user gave stays, and any other model is left as it is. Raises ModelRejected
    for a file that is refused.
    """
    graph = read_vetted(path).graph
    if bindings.shapes or bindings.samples or not _is_decoder(graph, path):
        return bindings
    return replace(bindings, shapes=_after_nothing(graph, path, _CALL_TOKENS).shapes)


def _after_nothing(graph: onnx.GraphProto, path: Path, tokens: int) -> InputBindings:
    """Bind so many new tokens of one user, and a past of none."""
    inputs, outputs = _ports(graph, path)
    shapes = {
        name: tuple(
            size if isinstance(size, int) else (tokens if axis else 1)
            for axis, size in enumerate(sizes)
        )
        for name, (_, sizes) in inputs.items()
    }
    shapes |= {one.past: one.sizes for one in caches_of(inputs, outputs)}
    return InputBindings(shapes=shapes)


def _read(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRejected(
            f"The configuration cannot be read: {error}",
            where=str(path),
            remedy="Build the folder again with onnxruntime-genai's model builder.",
        ) from error
    return plain if isinstance(plain, dict) else {}


def _table(plain: dict[str, Any], key: str, folder: Path) -> dict[str, Any]:
    found = plain.get(key)
    if not isinstance(found, dict):
        raise ModelRejected(
            f"The configuration has no table '{key}'",
            where=str(folder / CONFIG),
            remedy="Build the folder again with onnxruntime-genai's model builder.",
        )
    return found


def _number(plain: dict[str, Any], key: str, folder: Path) -> int:
    found = plain.get(key)
    if not isinstance(found, int) or found < 1:
        raise ModelRejected(
            f"The configuration says {key} = {found!r}, which is no count",
            where=str(folder / CONFIG),
            remedy="Build the folder again with onnxruntime-genai's model builder.",
        )
    return found
