"""The pages made from the code say what the code says, and no link leads nowhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("models/*.md")])
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def test_the_pages_made_from_the_code_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, TOP / "docs" / "make_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = _LINK.findall(page.read_text(encoding="utf-8"))

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []
