"""Which meter a person means: an address, or a name in this desk's lab.toml."""

from pathlib import Path

from harness.errors import UnknownName
from harness.plugins import Address
from harness.schema.lab import find_lab, load_lab


def meter_address(text: str) -> Address:
    """Read ``driver@link``, or look the name up in lab.toml.

    Raises UnknownName where there is no such name.
    """
    if "@" in text:
        return Address.parse(text)
    found = find_lab(Path.cwd())
    known = load_lab(found).meters if found else {}
    if text not in known:
        raise UnknownName("meter", text, known, where="lab.toml")
    return Address.parse(known[text])
