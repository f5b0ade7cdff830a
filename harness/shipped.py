"""Where the data that come with the harness lie: in a checkout, or in the wheel.

`models/` and `device_profiles/` stand at the top of a checkout and are copied into
the wheel as `harness/_shipped/`, so that an installed harness needs no checkout.
"""

from pathlib import Path

from harness.errors import Unverifiable

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Give the top of the checkout that this package runs from, if it is one."""
    top = _PACKAGE.parent
    return top if (top / "pyproject.toml").is_file() else None


def folder(name: str) -> Path:
    """Find the shipped folder of that name (``models``, ``device_profiles``).

    Raises Unverifiable where the installation lacks it.
    """
    for candidate in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise Unverifiable(
        f"The folder '{name}' is missing from this installation",
        where=str(_PACKAGE),
        remedy="Install the package again.",
    )
