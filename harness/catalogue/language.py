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
from harness.catalogue.describe import describe, model_name
from harness.catalogue.vet import read_vetted
from harness.domain.workload import DecoderFacts, Fill, InputSpec, ModelArtifact
from harness.errors import ModelRejected, UsageError
from harness.links.filedigest import digest_of, model_files

CONFIG = "genai_config.json"
GENAI, ONNXRUNTIME = "onnxruntime-genai", "onnxruntime"
CONTEXT = "context"
_PAST_AXES = 4
_TOKENS, _LOGITS = "input_ids", "logits"


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
    if not _is_decoder(graph):
        return describe(path, bindings)
    return _of_graph(path, graph, bindings)


def _folder(path: Path) -> Path | None:
    folder = path.parent if path.name == CONFIG else path
    return folder if (folder / CONFIG).is_file() else None


def _is_decoder(graph: onnx.GraphProto) -> bool:
    inputs = {value.name: value for value in graph.input}
    outputs = {value.name for value in graph.output}
    has_past = any(
        name.startswith("past") and len(_sizes(value)) == _PAST_AXES
        for name, value in inputs.items()
    )
    return has_past and _TOKENS in inputs and _LOGITS in outputs


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
    described = describe(path, replace(_one_token(graph), ranges=bindings.ranges))
    facts = DecoderFacts(vocabulary=_vocabulary(graph, path), context=context[0])
    tokens = tuple(one for one in described.inputs if one.name == _TOKENS)
    return replace(described, inputs=tokens, decoder=facts)


def _vocabulary(graph: onnx.GraphProto, path: Path) -> int:
    for value in graph.output:
        if value.name == _LOGITS and _sizes(value)[-1:] > (1,):
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
    described = describe(graph_path, _one_token(read_vetted(graph_path).graph))
    return ModelArtifact(
        name=model_name(Path(f"{title_of(folder)}.onnx")),
        sha256=digest_of(files),
        size_bytes=sum(file.stat().st_size for file in files),
        external=others,
        inputs=(
            InputSpec(
                name=_TOKENS,
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


def _one_token(graph: onnx.GraphProto) -> InputBindings:
    """Bind every open size to 1: those that matter follow from the prompts."""
    return InputBindings(shapes={value.name: _sizes(value) for value in graph.input})


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
