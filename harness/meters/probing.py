"""Who answers on a port: read-only questions in the protocols that we know, as data.

A USB identity is not asked for: several instruments share that of a common chip (an
LPM01A and a TC66C that of ST's virtual port), so only a protocol tells. None of the
questions changes a setting. Opening and closing a port is not without effect though: a
PPK2 cuts the supply of its device under test, a board with an Arduino's reset wiring
starts again. So only a port that a person named is ever asked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from harness.clock import Clock, Deadline
from harness.links.bytelink import ByteLink, Parity, open_link
from harness.meters.answer import Frame

_WITHIN_S = 1.0
_QUIET_S = 0.1
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question, and what in the answer tells the instrument."""

    driver: str
    title: str
    question: bytes
    recognise: Callable[[bytes], str | None]
    """Bytes so far → who it says that it is; None: not this one, or not yet."""
    baud: int = 115_200
    parity: Parity = Parity.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one probe saw."""

    driver: str
    title: str
    identity: str
    """Who it says that it is; empty: it did not answer like that."""
    answered_bytes: int


def _wire(driver: str) -> Any:  # noqa: ANN401 - a module by name
    return import_module(f"harness.meters.{driver}.wire")


def _ppk2(data: bytes) -> str | None:
    try:
        metadata = _wire("ppk2").parse_metadata(data)
    except ValueError:
        return None
    return None if metadata is None else f"PPK2, hardware {metadata.hardware}"


def _lpm01a(data: bytes) -> str | None:
    answer = _wire("lpm01a").decode_answer(data, "powershield")
    return f"X-NUCLEO-LPM01A {answer.value}" if isinstance(answer, Frame) else None


def _scpi(data: bytes) -> str | None:
    line, end, _ = data.partition(b"\n")
    if not end:
        return None
    answer = _wire("scpi").parse_identity(line.decode("ascii", errors="replace"))
    if not isinstance(answer, Frame):
        return None
    found = answer.value
    return f"{found.maker} {found.model} {found.serial_number}"


def _ina(data: bytes) -> str | None:
    wire = _wire("ina")
    answer = wire.decode(data)
    if isinstance(answer, Frame) and isinstance(answer.value, wire.Header):
        return f"{answer.value.chip} board"
    return None


def _um(data: bytes) -> str | None:
    answer = _wire("ruideng").decode_um(data)
    return answer.value.model if isinstance(answer, Frame) else None


_TC66C_BYTES = 192


def _tc66c(data: bytes) -> str | None:
    """Recognise the length of an encrypted reply; nothing else answers `getva`."""
    return "TC66C, by the length of its reply" if len(data) == _TC66C_BYTES else None


def _pzem(data: bytes) -> str | None:
    wire = _wire("pzem")
    answer = wire.decode(data, wire.GENERAL_UNIT)
    if not isinstance(answer, Frame):
        return None
    return f"PZEM, unit {answer.value.unit}, {answer.value.voltage_v:g} V"


def _dlt645(data: bytes) -> str | None:
    answer = _wire("dlt645").decode_address(data)
    return f"meter {answer.value}" if isinstance(answer, Frame) else None


PROBES = (
    Probe(driver="ppk2", title="Nordic PPK2", question=b"\x19", recognise=_ppk2),
    Probe(
        driver="lpm01a",
        title="ST LPM01A",
        question=b"\npowershield\n",
        recognise=_lpm01a,
        baud=3_686_400,
    ),
    Probe(
        driver="scpi",
        title="SCPI at 57600 Bd",
        question=b"*IDN?\n",
        recognise=_scpi,
        baud=57_600,
    ),
    Probe(
        driver="scpi",
        title="SCPI at 9600 Bd",
        question=b"*IDN?\n",
        recognise=_scpi,
        baud=9600,
    ),
    Probe(driver="ina", title="INA board", question=b"?\n", recognise=_ina),
    Probe(driver="um25c", title="Ruideng UM", question=b"\xf0", recognise=_um),
    Probe(driver="tc66c", title="Ruideng TC66C", question=b"getva", recognise=_tc66c),
    Probe(
        driver="pzem",
        title="PZEM-004T v3",
        question=bytes.fromhex("f8 04 00 00 00 0a 64 64"),
        recognise=_pzem,
        baud=9600,
    ),
    Probe(
        driver="dlt645",
        title="DL/T 645-2007",
        question=b"\xfe\xfe\xfe\xfe\x68" + b"\xaa" * 6 + b"\x68\x13\x00\xdf\x16",
        recognise=_dlt645,
        baud=2400,
        parity=Parity.EVEN,
    ),
)
"""In the order in which they are asked: binary questions that others take for noise
come after those in text, and slow lines last."""


def probe(port: str, clock: Clock) -> Iterator[Sighting]:
    """Ask a port in each protocol in turn, and stop at the first that answers.

    `port` is the part of an address after the ``@``, such as ``serial:/dev/ttyACM0``.
    Raises LinkError where it cannot be opened.
    """
    for one in PROBES:
        with open_link(port, baud=one.baud, parity=one.parity) as link:
            sighting = ask(link, clock, one)
        yield sighting
        if sighting.identity:
            return


def ask(link: ByteLink, clock: Clock, one: Probe) -> Sighting:
    """Ask one question over an open link, for a second at most."""
    quiet = Deadline.after(_QUIET_S, clock)
    while link.read(_READ_BYTES, quiet):
        continue
    link.write(one.question)
    until = Deadline.after(_WITHIN_S, clock)
    data = b""
    identity = None
    while identity is None and (piece := link.read(_READ_BYTES, until)):
        data += piece
        identity = one.recognise(data)
    return Sighting(
        driver=one.driver,
        title=one.title,
        identity=(identity or "").strip(),
        answered_bytes=len(data),
    )
