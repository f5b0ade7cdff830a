"""Builds the reference models: python models/build.py --out DIR --scheme u8s8 [NAME…].

Stands alone: numpy, onnx and onnxruntime are all it needs. Prints one JSON line for
each finished model and nothing else on standard output.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

# Before anything loads onnxruntime, whose Linux wheels report home by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"

from calibration import StaleRanges, calibrate
from catalogue import SPECS
from index_file import index_path, index_text
from produce import Built, produce
from quantise import SCHEMES
from spec import Spec, assemble


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command; give the exit status (2: asked for wrongly)."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in SPECS]
    if unknown:
        print(_unknown(unknown[0]), file=sys.stderr)
        return 2
    chosen = [SPECS[name] for name in options.names or SPECS]
    try:
        if options.calibrate:
            _calibrate(chosen)
        elif options.write_index:
            _write_index()
        else:
            _build(chosen, options.scheme, options.out)
    except StaleRanges as stale:
        print(f"{stale} Run: python models/build.py --calibrate", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py", description="Build the reference models."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parents[1] / "build" / "models",
        help="folder for the files (default: build/models)",
    )
    parser.add_argument(
        "--scheme",
        choices=sorted(SCHEMES),
        default="u8s8",
        help="activations unsigned (x86) or signed (Arm)",
    )
    parser.add_argument(
        "--write-index", action="store_true", help="build all, refresh index.toml"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="take the ranges of the models anew"
    )
    return parser


def _build(specs: Iterable[Spec], scheme: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for spec in specs:
        print(_line(produce(spec, scheme, folder.resolve())), flush=True)


def _calibrate(specs: Iterable[Spec]) -> None:
    for spec in (one for one in specs if one.decoder is None):
        calibrate(spec, assemble(spec).model)


def _write_index() -> None:
    with tempfile.TemporaryDirectory() as folder:
        entries = [
            (spec, {scheme: produce(spec, scheme, Path(folder)) for scheme in SCHEMES})
            for spec in SPECS.values()
        ]
        text = index_text(entries)
    index_path().write_text(text, encoding="utf-8")


def _line(built: Built) -> str:
    return json.dumps(
        {
            "name": built.name,
            "file": str(built.file),
            "sha256": built.sha256,
            "size_bytes": built.size_bytes,
            "macs": built.macs,
            "parameters": built.parameters,
            "seconds": round(built.seconds, 3),
        }
    )


def _unknown(name: str) -> str:
    near = get_close_matches(name, SPECS, n=3, cutoff=0.5)
    known = " or ".join(near) if near else ", ".join(sorted(SPECS))
    return (
        f"There is no reference model '{name}'. {'Near' if near else 'Known'}: {known}."
    )


if __name__ == "__main__":
    sys.exit(main())
