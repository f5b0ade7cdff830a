"""lab.toml: what is plugged in on this desk, and for whom it is tested.

The format ``duanping/lab/1``. Nothing in it is needed; what is not given is "not
given" in the report. The tables `lab`, `customer`, `item`, `dates`, `sampling`,
`authorised` and the lists at the top feed the fields that ISO/IEC 17025:2017, 7.8
asks for. A device profile is shared between desks; this file stays on its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.board import AgentForm, Board
from harness.domain.plan import Boundary, Supply
from harness.domain.record import LabInfo
from harness.errors import SchemaError, UsageError
from harness.plugins import Address
from harness.schema.reading import Written, read_toml, validate
from harness.units import parse_quantity

FORMAT = "duanping/lab/1"
FILE_NAME = "lab.toml"
_NOT_BOARDS = ("local", "emulated")

_COLDEST_DEGC, _HOTTEST_DEGC = -90.0, 200.0
"""Beyond what any climatic chamber reaches: a slip of the pen."""


class WrittenLaboratory(Written):
    """The laboratory. An accredited one gives the number of its accreditation."""

    name: str = ""
    address: str = ""
    location: str = ""
    accredited: bool = False
    accreditation: str = ""


class WrittenCustomer(Written):
    """Who asked for the test."""

    name: str = ""
    contact: str = ""
    address: str = ""


class WrittenItem(Written):
    """What is tested, and in what condition it came."""

    brand: str = ""
    model: str = ""
    sn: str = ""
    fw: str = ""
    hw: str = ""
    battery: str = ""
    photos: str = ""
    condition: str = ""


class WrittenDates(Written):
    """Days of receipt, sampling, performance and issue."""

    model_config = ConfigDict(populate_by_name=False)

    received: str = ""
    sampled: str = ""
    from_: str = Field(default="", alias="from")
    to: str = ""
    issued: str = ""


class WrittenSampling(Written):
    """How the specimens were chosen, and how many there are."""

    plan: str = ""
    units: int | str = ""


class WrittenAuthorised(Written):
    """Who authorises the report."""

    by: str = ""
    role: str = ""


class WrittenConditions(Written):
    """The surroundings, as a thermometer on this desk says."""

    ambient: str | None = None


class WrittenDevice(Written):
    """A target: where it is, as driver@link."""

    address: str


class WrittenTarget(WrittenDevice):
    """A target: where it is, and how a board is reached and set up."""

    host_key: str = ""
    client_key: str = ""
    agent: AgentForm = AgentForm.ANY
    python: str = "python3"
    folder: str = ".cache/duanping"
    runtime: str = ""
    power_cycle: str = ""
    detached: bool = False
    holder: str = ""


class WrittenMeter(WrittenDevice):
    """A meter: where it is, its calibration, and what its power is the power of."""

    calibration: str = ""
    """File of its calibration, from the folder of the lab file; empty: none."""
    boundary: Boundary = Boundary.NOT_STATED
    single_supply: bool | None = None
    pin: str = ""
    """File on the device that moves a pin which this meter watches; empty: none."""


class WrittenLab(Written):
    """A lab file."""

    format: Literal["duanping/lab/1"]
    lab: WrittenLaboratory = WrittenLaboratory()
    customer: WrittenCustomer = WrittenCustomer()
    item: WrittenItem = WrittenItem()
    dates: WrittenDates = WrittenDates()
    sampling: WrittenSampling = WrittenSampling()
    authorised: WrittenAuthorised = WrittenAuthorised()
    deviations: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    equipment: tuple[str, ...] = ()
    opinions: tuple[str, ...] = ()
    amends: str = ""
    amendment_reason: str = ""
    conditions: WrittenConditions = WrittenConditions()
    targets: dict[str, WrittenTarget] = Field(default_factory=dict)
    meters: dict[str, WrittenMeter] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What this desk has. `targets` and `meters` are addresses by name.

    `supplies` says of each meter what its power is the power of.
    `calibrations` are files, by the name of the meter that they are of.
    """

    info: LabInfo = field(default_factory=LabInfo)
    ambient_degc: float | None = None
    targets: dict[str, str] = field(default_factory=dict)
    meters: dict[str, str] = field(default_factory=dict)
    boards: dict[str, Board] = field(default_factory=dict)
    """What is known of boards beside their address, by address."""
    supplies: dict[str, Supply] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    """File on the device that moves a pin, by the name of the meter that watches it."""
    calibrations: dict[str, Path] = field(default_factory=dict)

    def target_for(self, profile: str) -> str | None:
        """Give the address of the target that is named like the profile, if any."""
        return self.targets.get(profile)


def find_lab(start: Path) -> Path | None:
    """Give the lab file that stands in a folder, if one does."""
    candidate = start / FILE_NAME
    return candidate if candidate.is_file() else None


def load_lab(path: Path) -> Lab:
    """Read a lab file. Raises SchemaError naming the place in it."""
    where = str(path)
    written = validate(WrittenLab, read_toml(path), where)
    _check_accreditation(written.lab, where)
    return Lab(
        info=LabInfo(fields=_fields(written)),
        ambient_degc=_ambient(written.conditions, where),
        targets=_addresses(written.targets, f"{where}: /targets"),
        meters=_addresses(written.meters, f"{where}: /meters"),
        boards=_boards(written.targets, path),
        calibrations={
            name: path.parent / meter.calibration
            for name, meter in written.meters.items()
            if meter.calibration
        },
        pins={n: meter.pin for n, meter in written.meters.items() if meter.pin},
        supplies={
            name: Supply(boundary=meter.boundary, is_single=meter.single_supply)
            for name, meter in written.meters.items()
        },
    )


def _check_accreditation(lab: WrittenLaboratory, where: str) -> None:
    if lab.accredited and not lab.accreditation.strip():
        raise SchemaError(
            "An accredited laboratory has a number, which is missing",
            where=f"{where}: /lab",
            remedy='Add accreditation = "CNAS L…", or set accredited = false.',
        )


def _fields(written: WrittenLab) -> dict[str, str]:
    """Give every field of the report that was given, by its dotted key."""
    tables: dict[str, BaseModel] = {
        "lab": written.lab,
        "customer": written.customer,
        "item": written.item,
        "dates": written.dates,
        "sampling": written.sampling,
    }
    fields = {
        f"{table}.{key}": str(value)
        for table, model in tables.items()
        for key, value in model.model_dump(by_alias=True).items()
        if key != "accredited"
    }
    if not written.lab.accredited:
        # only an accredited laboratory may head its page as a test report
        fields["lab.accreditation"] = ""
    fields["authorised_by"] = written.authorised.by
    fields["authorised_role"] = written.authorised.role
    for key in ("deviations", "external", "equipment", "opinions"):
        fields[key] = "; ".join(getattr(written, key))
    fields["amends"] = written.amends
    fields["amendment_reason"] = written.amendment_reason
    return {key: text for key, text in fields.items() if text.strip()}


def _ambient(conditions: WrittenConditions, where: str) -> float | None:
    if conditions.ambient is None:
        return None
    place = f"{where}: /conditions/ambient"
    try:
        degc = parse_quantity(conditions.ambient, "degC")
    except UsageError as error:
        raise SchemaError(error.what, where=place, remedy=error.remedy) from error
    if not _COLDEST_DEGC <= degc <= _HOTTEST_DEGC:
        raise SchemaError(
            f"No laboratory is at {degc:g} degC", where=place, remedy="Check it."
        )
    return degc


def _boards(targets: dict[str, WrittenTarget], lab: Path) -> dict[str, Board]:
    """Give what is known of each target that has more than an address.

    Paths on this host are from the lab file's folder.
    """
    found = {}
    for name, target in targets.items():
        more = target.model_dump(exclude={"address"}, exclude_defaults=True)
        if not more:
            continue
        address = Address.parse(target.address)
        if address.driver in _NOT_BOARDS:
            raise SchemaError(
                f"'{next(iter(more))}' is for boards, which {address} is not",
                where=f"{lab}: /targets/{name}",
                remedy="Remove it, or give the board's address.",
            )
        for key in ("client_key", "runtime"):
            if more.get(key):
                more[key] = str(lab.parent / Path(more[key]).expanduser())
        is_detached = more.pop("detached", False)
        found[str(address)] = Board(is_detached=is_detached, **more)
    return found


def _addresses(devices: Mapping[str, WrittenDevice], where: str) -> dict[str, str]:
    addresses = {}
    for name, device in devices.items():
        try:
            addresses[name] = str(Address.parse(device.address))
        except SchemaError as error:
            raise SchemaError(
                error.what, where=f"{where}/{name}/address", remedy=error.remedy
            ) from error
    return addresses
