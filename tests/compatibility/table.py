"""The page docs/reference/compatibility.md, made by executing the corpus.

python tests/compatibility/table.py          # write it
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from handmade import CASES
from outcome import outcome_of

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "reference" / "compatibility.md"
REAL = TOP.parent / "shared" / "data" / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A model of another project, and what a user would add on the command line."""

    file: str
    what: str
    shapes: tuple[str, ...] = ()


REALS = (
    Real(file="kws01_int8_qdq.onnx", what="MLPerf Tiny keyword spotting, QDQ s8s8"),
    Real(file="kws01_fp32.onnx", what="its float32 parent"),
    Real(file="vww01_int8_qdq.onnx", what="MLPerf Tiny visual wake words, QDQ s8s8"),
    Real(file="ad01_int8_qdq.onnx", what="MLPerf Tiny anomaly detection, QDQ s8s8"),
    Real(file="sww01_int8_qdq.onnx", what="MLPerf Tiny streaming wake word"),
    Real(file="corpus/ic01_int8_qoperator.onnx", what="ResNet-8, QOperator u8s8"),
    Real(file="corpus/mobilenet_v1_025_128_u8_qdq.onnx", what="MobileNetV1, QDQ u8u8"),
    Real(file="corpus/ultraface_rfb320.onnx", what="face detector, IR 4, opset 9"),
    Real(
        file="corpus/yunet_n_dynamic.onnx",
        what="face detector, free height and width",
        shapes=("height=320", "width=320"),
    ),
    Real(
        file="corpus/ppocr_cls.onnx",
        what="text direction, weights as Constant nodes",
        shapes=("x=1,3,48,192",),
    ),
    Real(
        file="corpus/silero_vad.onnx",
        what="voice activity: If branches, LSTM state, sampling rate",
        shapes=("input=1,576", "state=2,1,128"),
    ),
    Real(file="corpus/dtln_1.onnx", what="noise suppression with LSTM states"),
    Real(
        file="corpus/tiny_gpt2_past.onnx",
        what="GPT-2 with cache, com.microsoft operators",
        shapes=("context=512",),
    ),
    Real(file="corpus/lightgbm_zipmap.onnx", what="LightGBM with ZipMap"),
    Real(file="corpus/vww01_external/model.onnx", what="weights in a file beside"),
)

_HEAD = """# Compatibility

What becomes of models of many kinds, each described, fed with generated inputs and
measured, or refused in a sentence. Written by `python tests/compatibility/table.py`;
a test executes every line and compares.

"""


def row(name: str, what: str, options: tuple[str, ...], outcome: str) -> str:
    """Make a line of the table."""
    said = f" (`{' '.join(options)}`)" if options else ""
    return f"| `{name}` | {what}{said} | {outcome} |"


def options_of(
    shapes: tuple[str, ...], ranges: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Write what a user would add on the command line."""
    return (
        *(part for shape in shapes for part in ("--shape", shape)),
        *(part for range_ in ranges for part in ("--range", range_)),
    )


def handmade_rows(folder: Callable[[str], Path]) -> Iterator[str]:
    """Execute the hand-made models, one after the other."""
    for case in CASES:
        outcome = outcome_of(case.build(folder(case.name)), case.shapes, case.ranges)
        yield row(case.name, case.what, options_of(case.shapes, case.ranges), outcome)


def real_rows() -> Iterator[str]:
    """Execute the models of other projects."""
    for real in REALS:
        outcome = outcome_of(REAL / real.file, real.shapes, ())
        yield row(real.file, real.what, options_of(real.shapes), outcome)


def main() -> int:
    """Write the page. Needs the models of other projects beside the checkout."""
    if not REAL.is_dir():
        sys.exit(f"{REAL} is not there; the page stays as it is.")
    with tempfile.TemporaryDirectory() as top:

        def folder(name: str) -> Path:
            made = Path(top, name)
            made.mkdir()
            return made

        handmade = list(handmade_rows(folder))
    lines = [
        "## Made for this table",
        "",
        "| file | what is in it | result |",
        "|---|---|---|",
        *handmade,
        "",
        "## Models of other projects",
        "",
        "| file | what is in it | result |",
        "|---|---|---|",
        *real_rows(),
        "",
    ]
    PAGE.write_text(_HEAD + "\n".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
