"""Tier sets: the limits that a class of device is graded on, row by row.

The format ``duanping/tiers/1``: titles of the tiers, a table of sources, gates, the
rows that hold for all classes, and one table a device class. A row::

    [[classes.wearable.rows]]
    id = "kws_e"
    workload = "kws"                                # in words, for print
    statistic = "median"
    limits = { sense = "<=", A = 100, B = 700, C = 2000, unit = "uJ" }
    core = true
    kind = "relative"
    family = "energy"
    measurand = "energy_per_inference_net"          # or "", and then `needs`
    workloads = ["kws"]                             # ids; [] for any
    scenario = "SingleStream"
    evidence = "M"
    source = "M1/M2: …"                             # keys of [sources]

Limits are converted to SI here; the common rows are put before those of each class.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness import shipped
from harness.domain.estimate import MEASURANDS
from harness.domain.profile import DeviceClass
from harness.domain.requirement import (
    CIRCUMSTANCES,
    NEEDS,
    ClassTiers,
    Gate,
    Kind,
    Requirement,
    Sense,
    Tier,
    TierSet,
)
from harness.domain.scenario import SCENARIOS
from harness.errors import SchemaError, UnknownName
from harness.schema.reading import (
    Written,
    attributed_to,
    nearest,
    read_toml,
    validate,
)
from harness.units import SCALES, to_si, units_of

FORMAT = "duanping/tiers/1"

EVIDENCE_CODES = frozenset({"M", "R", "P", "S", "K", "D", "EJ"})
"""Measured · regulation · perception norm · second-hand · general knowledge,
unverified · arithmetic · engineering judgement."""

Family = Literal["latency", "energy", "memory", "accuracy", "sustained"]
Limit = Annotated[float, Field(gt=0)]


class WrittenLimits(Written):
    """Three limits in a written unit, best first, and the side that is good."""

    sense: Sense
    A: Limit
    B: Limit
    C: Limit
    unit: str


class WrittenRow(Written):
    """One row of a tier set."""

    id: str = Field(min_length=1)
    workload: str = Field(description="What is run, in words, for print.")
    statistic: str = Field(description="Which figure of it, in words, for print.")
    limits: WrittenLimits
    core: bool
    kind: Kind
    family: Family | Literal["unscored"]
    measurand: str = Field(description="Empty where nothing here measures the row.")
    needs: str = Field(
        default="",
        description="What would answer it instead; of a measured row, what it also "
        "takes.",
    )
    workloads: tuple[str, ...] = Field(default=(), description="Ids; none for any.")
    excludes: tuple[str, ...] = Field(
        default=(), description="Ids that another row holds for."
    )
    least_parameters: float = Field(
        default=0.0, ge=0, description="Of the model that answers the row."
    )
    scenario: str = Field(default="", description="Empty for any.")
    minimum_s: float = Field(
        default=0.0, ge=0, description="Least duration of the scenario, in seconds."
    )
    condition: str = Field(
        default="", description="Load of the scenario, as figures name it; empty: any."
    )
    uses_bound: bool = Field(
        default=False, description="A one-sided 95 % bound is judged, not y + w."
    )
    evidence: str = Field(description="Codes joined by +.")
    source: str = Field(min_length=1)


class WrittenGate(Written):
    """What must hold before any tier."""

    id: str
    title_zh: str = Field(min_length=1, description="The rule in few words.")
    title_en: str = Field(min_length=1)
    rule: str
    source: str
    targets: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Workload id: least task metric."
    )


class WrittenClass(Written):
    """The rows of one device class."""

    title_zh: str
    weights: dict[Family, Annotated[float, Field(ge=0)]]
    applies: dict[str, tuple[str, ...]]
    rows: tuple[WrittenRow, ...]


class WrittenTitles(Written):
    """What the tiers are called."""

    A: str
    B: str
    C: str
    D: str


class WrittenTierSet(Written):
    """A tier file."""

    format: Literal["duanping/tiers/1"]
    version: str = Field(min_length=1)
    status: Literal["proposal", "prescribed"]
    statement_zh: str
    statement_en: str
    titles_zh: WrittenTitles
    sources: dict[str, str]
    gates: tuple[WrittenGate, ...]
    common: tuple[WrittenRow, ...]
    classes: dict[DeviceClass, WrittenClass]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A written row and where it stands."""

    row: WrittenRow
    where: str


def load_tier_set(path: Path) -> TierSet:
    """Read a tier file. Raises SchemaError naming file, row and place in it."""
    written = validate(WrittenTierSet, read_toml(path), str(path))
    return TierSet(
        version=written.version,
        status=written.status,
        tier_titles_zh={tier: getattr(written.titles_zh, tier.value) for tier in Tier},
        classes={
            device_class: _class_tiers(written, device_class, str(path))
            for device_class in written.classes
        },
        gates=tuple(
            Gate(
                id=gate.id,
                rule=gate.rule,
                source=gate.source,
                title_zh=gate.title_zh,
                title_en=gate.title_en,
                targets=dict(gate.targets),
            )
            for gate in written.gates
        ),
        sources=dict(written.sources),
        statement_zh=written.statement_zh,
        statement_en=written.statement_en,
    )


def tier_set_path(version: str) -> Path:
    """Find a shipped tier set by its version. Raises UnknownName."""
    if version not in tier_set_versions():
        raise UnknownName("tier set", version, tier_set_versions())
    return _folder() / f"{version}.toml"


def tier_set_versions() -> tuple[str, ...]:
    """List the tier sets that are shipped."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def _folder() -> Path:
    return shipped.folder("device_profiles") / "tiers"


def _class_tiers(
    written: WrittenTierSet, device_class: DeviceClass, path: str
) -> ClassTiers:
    own = written.classes[device_class]
    place = f"/classes/{device_class.value}"
    placed = [
        *_placed(written.common, f"{path}: /common"),
        *_placed(own.rows, f"{path}: {place}/rows"),
    ]
    _refuse_twins(placed)
    _check_weights(own, f"{path}: {place}/weights")
    rows = tuple(_requirement(one.row, one.where) for one in placed)
    _check_applies(own, rows, f"{path}: {place}/applies")
    always = tuple(row.id for row in written.common if row.core)
    return ClassTiers(
        device_class=device_class,
        title_zh=own.title_zh,
        rows=rows,
        applies={name: (*always, *ids) for name, ids in own.applies.items()},
        weights={str(family): weight for family, weight in own.weights.items()},
    )


def _placed(rows: tuple[WrittenRow, ...], place: str) -> Iterator[_Placed]:
    for number, row in enumerate(rows):
        yield _Placed(row=row, where=f"{place}/{number} ({row.id})")


def _refuse_twins(placed: list[_Placed]) -> None:
    counts = Counter(one.row.id for one in placed)
    for one in reversed(placed):
        if counts[one.row.id] > 1:
            raise SchemaError(
                f"There is more than one row '{one.row.id}'",
                where=one.where,
                remedy="Give each row of a class its own id; common rows are among "
                "them.",
            )


def _check_weights(own: WrittenClass, where: str) -> None:
    total = sum(own.weights.values())
    if not isclose(total, 1.0, abs_tol=1e-9):
        raise SchemaError(
            f"The weights add up to {total:g}", where=where, remedy="Make it 1."
        )


def _check_applies(
    own: WrittenClass, rows: tuple[Requirement, ...], where: str
) -> None:
    known = [row.id for row in rows]
    for subtype, ids in own.applies.items():
        for name in ids:
            if name not in known:
                raise SchemaError(
                    f"There is no row '{name}' in this class",
                    where=f"{where}/{subtype}",
                    remedy=nearest(name, known),
                )


def _requirement(row: WrittenRow, where: str) -> Requirement:
    _check_measurand(row, where)
    _check_unit(row, where)
    _check_scenario(row, where)
    _check_evidence(row, where)
    limits = {Tier.A: row.limits.A, Tier.B: row.limits.B, Tier.C: row.limits.C}
    remedy = f"With {row.limits.sense} the limit of A is the hardest to meet."
    with attributed_to(f"{where}/limits", remedy):
        return Requirement(
            id=row.id,
            measurand=row.measurand,
            workloads=row.workloads,
            scenario=row.scenario,
            statement=f"{row.workload}, {row.statistic}",
            sense=row.limits.sense,
            limits={t: to_si(limit, row.limits.unit) for t, limit in limits.items()},
            unit=row.limits.unit,
            is_core=row.core,
            kind=row.kind,
            family=row.family,
            evidence=row.evidence,
            source=row.source,
            uses_bound=row.uses_bound,
            needs=row.needs,
            minimum_s=row.minimum_s,
            condition=row.condition,
            excludes=row.excludes,
            least_parameters=row.least_parameters,
        )


def _check_measurand(row: WrittenRow, where: str) -> None:
    if row.measurand:
        if row.measurand not in MEASURANDS:
            raise SchemaError(
                f"There is no measurand '{row.measurand}'",
                where=f"{where}/measurand",
                remedy=nearest(row.measurand, sorted(MEASURANDS)),
            )
        if row.needs and row.needs not in CIRCUMSTANCES:
            raise SchemaError(
                f"A row that is measured does not need '{row.needs}'",
                where=f"{where}/needs",
                remedy="Leave out either measurand or needs, or need one of: "
                f"{', '.join(sorted(CIRCUMSTANCES))}.",
            )
    elif row.needs not in NEEDS:
        raise SchemaError(
            f"Nothing here measures this row, and '{row.needs}' does not say what "
            "would answer it",
            where=f"{where}/needs",
            remedy=nearest(row.needs, sorted(NEEDS)),
        )


def _check_unit(row: WrittenRow, where: str) -> None:
    unit = row.limits.unit
    place = f"{where}/limits/unit"
    if unit not in SCALES:
        raise SchemaError(
            f"There is no unit '{unit}'",
            where=place,
            remedy=nearest(unit, sorted(SCALES)),
        )
    if not row.measurand:
        return
    wanted = MEASURANDS[row.measurand].unit
    if SCALES[unit][0] != wanted:
        raise SchemaError(
            f"'{unit}' is no unit of {row.measurand}",
            where=place,
            remedy=f"Use one of: {', '.join(units_of(wanted))}.",
        )


def _check_scenario(row: WrittenRow, where: str) -> None:
    if row.scenario and row.scenario not in SCENARIOS:
        raise SchemaError(
            f"There is no scenario '{row.scenario}'",
            where=f"{where}/scenario",
            remedy=nearest(row.scenario, sorted(SCENARIOS)),
        )


def _check_evidence(row: WrittenRow, where: str) -> None:
    for code in row.evidence.split("+"):
        if code not in EVIDENCE_CODES:
            raise SchemaError(
                f"There is no evidence code '{code}'",
                where=f"{where}/evidence",
                remedy=f"Known: {', '.join(sorted(EVIDENCE_CODES))}; join with +.",
            )
