"""Write the pages of docs/reference that are made from the code's own tables.

python docs/make_reference.py          # write
python docs/make_reference.py --check  # say whether they are up to date
"""

import sys
from pathlib import Path

from harness.domain.estimate import MEASURANDS
from harness.domain.finding import CODES
from harness.report.words import catalogue
from harness.stats.severity import SEVERITIES

REFERENCE = Path(__file__).resolve().parent / "reference"


def findings() -> str:
    """Make the page of all finding codes, with severity, meaning and remedy."""
    words = catalogue("en")
    rows = (
        f"| `{code}` | {SEVERITIES.get(code, 'set where it is found')} "
        f"| {words[f'finding.{code}.what']} | {words[f'finding.{code}.do']} |"
        for code in sorted(CODES)
    )
    return "\n".join(
        (
            "# Findings",
            "",
            "What is noticed about a run. *Invalidating*: no figure of the run can be",
            "believed, nothing is graded. *Conditional*: figures may have moved, by",
            "an amount that the record cannot tell. *Note*: good to know.",
            "Findings about the host arm are always notes.",
            "",
            "| code | severity | what it means | what to do |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def measurands() -> str:
    """Make the page of all measurands, with unit and name."""
    english, chinese = catalogue("en"), catalogue("zh")
    rows = (
        f"| `{name}` | {one.unit} | {english[f'measurand.{name}']} "
        f"| {chinese[f'measurand.{name}']} |"
        for name, one in sorted(MEASURANDS.items())
    )
    return "\n".join(
        (
            "# Measurands",
            "",
            "Every quantity that may be estimated, and the unit in which it is kept.",
            "How it was made stands in `method` of each estimate.",
            "",
            "Instructions per inference are (C(N₂) − C(N₁)) / (N₂ − N₁) for processes",
            "of N₁ and N₂ inferences on an emulated processor, the median over rounds;",
            "u is the deviation of a round. They are no time, and judge no row.",
            "",
            "| name | unit | English | 中文 |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


PAGES = {"findings.md": findings, "measurands.md": measurands}


def stale() -> list[str]:
    """Name the pages that are not what the code says."""
    return [
        name
        for name, make in PAGES.items()
        if not (REFERENCE / name).is_file()
        or (REFERENCE / name).read_text(encoding="utf-8") != make()
    ]


def main() -> int:
    """Write the pages, or with ``--check`` say which are stale."""
    if "--check" in sys.argv:
        names = stale()
        if names:
            print("Not up to date:", ", ".join(names), file=sys.stderr)
        return 1 if names else 0
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
