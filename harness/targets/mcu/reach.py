"""What stands behind ``mcu@``: which link leads to the board, and how it is used.

``serial:/dev/ttyACM0?baud=9600``, ``url:rfc2217://host:port?ign_set_control``,
``serial:/dev/ttyACM0?via=interface&dutbaud=9600``, ``sim:kws01?ms=30``,
``qemu:firmware.elf``. Options of a URL that are not ours stay in the URL.
"""

from dataclasses import dataclass, field

from harness.errors import SchemaError, UnknownName
from harness.links.bytelink import KINDS
from harness.plugins import Address

SIM, QEMU = "sim", "qemu"
BAUDS = (115_200, 9_600, 921_600)
"""Performance and accuracy; energy; anomaly detection's reference."""
INTERFACE_BAUD = 115_200
"""Between the host and an interface board, whatever lies behind it."""
_OF_A_WIRE = ("baud", "via", "dutbaud")
_OPTIONS = {
    **dict.fromkeys(KINDS, _OF_A_WIRE),
    SIM: (
        *("ms", "seed", "mode", "power", "idle"),
        *("via", "dutbaud", "misses", "alarm"),
    ),
    QEMU: (),
}
_VIA = "interface"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a board is reached."""

    kind: str
    place: str
    """Behind the kind: a port, a URL, a model's name, a file."""
    where: str
    """The address, for sentences."""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def link(self) -> str:
        """Name the link as `harness.links.bytelink.open_link` reads it."""
        return f"{self.kind}:{self.place}"

    @property
    def is_through_interface(self) -> bool:
        """Say whether an interface board lies between. Raises SchemaError."""
        via = self.options.get("via")
        if via not in {None, _VIA}:
            raise SchemaError(
                f"'{via}' lies between no host and board",
                where=self.where,
                remedy=f"Write ?via={_VIA}, or leave it out.",
            )
        return via == _VIA

    @property
    def bauds(self) -> tuple[int, ...]:
        """Give the rates to try, in order. Raises SchemaError."""
        given = self.baud("baud")
        if given is not None:
            return (given,)
        return (INTERFACE_BAUD,) if self.is_through_interface else BAUDS

    def baud(self, name: str) -> int | None:
        """Give a baud rate by its option; None: not given. Raises SchemaError."""
        text = self.options.get(name)
        if text is None:
            return None
        if not text.isdecimal() or not int(text):
            raise SchemaError(
                f"'{text}' is no baud rate",
                where=self.where,
                remedy=f"Write ?{name}=115200",
            )
        return int(text)


def read_reach(address: Address) -> Reach:
    """Read an address. Raises UnknownName for a link or an option that is none."""
    place, _, query = address.link.partition("?")
    kind, _, rest = place.partition(":")
    where = str(address)
    if kind not in _OPTIONS:
        raise UnknownName("kind of link", kind, _OPTIONS, where=where)
    own: dict[str, str] = {}
    foreign: list[str] = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in _OPTIONS[kind]:
            own[name] = value
        elif kind == "url":
            foreign.append(part)
        else:
            raise UnknownName(
                "option of a microcontroller", name, _OPTIONS[kind], where=where
            )
    if foreign:
        rest = f"{rest}?{'&'.join(foreign)}"
    return Reach(kind=kind, place=rest, where=where, options=own)
