"""The shipped tier set is whole and sound, and a wrong one is refused by its row."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.domain.estimate import MEASURANDS
from harness.domain.profile import DeviceClass
from harness.domain.requirement import Kind, Requirement, Sense, Tier, TierSet
from harness.errors import SchemaError, UnknownName
from harness.schema import tiers
from harness.schema.reading import json_schema
from harness.schema.tiers import (
    WrittenTierSet,
    load_tier_set,
    tier_set_path,
    tier_set_versions,
)
from harness.units import si_unit

ROWS_OWN = {
    DeviceClass.SMART_HOME: 11,
    DeviceClass.XR: 11,
    DeviceClass.WEARABLE: 12,
    DeviceClass.SMARTPHONE: 15,
    DeviceClass.COMPUTER: 11,
    DeviceClass.INDUSTRIAL: 10,
    DeviceClass.COMMERCIAL: 9,
    DeviceClass.OTHER: 10,
}
COMMON = 7
BEYOND = {
    ("smartphone", name)
    for name in ("net_success", "net_p90", "net_fallback", "lang_ratio")
}
"""Rows from the table of checks besides performance, which the proposal has not."""
PROPOSAL = Path(__file__).parents[4] / "shared" / "data" / "tiers-2026.1-proposal.toml"


@pytest.fixture(scope="module")
def tier_set() -> TierSet:
    return load_tier_set(tier_set_path("2026.1"))


def all_rows(tier_set: TierSet) -> list[tuple[str, Requirement]]:
    return [
        (device_class.value, row)
        for device_class, found in tier_set.classes.items()
        for row in found.rows
    ]


def test_every_class_has_its_rows_and_the_common_ones(tier_set: TierSet) -> None:
    counts = {name: len(found.rows) for name, found in tier_set.classes.items()}

    assert counts == {name: own + COMMON for name, own in ROWS_OWN.items()}
    assert sum(ROWS_OWN.values()) + COMMON == 96


def test_limits_are_kept_in_si(tier_set: TierSet) -> None:
    rows = {r.id: r for r in tier_set.classes[DeviceClass.WEARABLE].rows}

    assert rows["kws_e"].limits[Tier.B] == pytest.approx(700e-6)
    assert rows["kws_lat"].limits[Tier.C] == pytest.approx(0.032)
    assert rows["mem"].limits[Tier.A] == 256 * 1024
    assert rows["batt_drain"].limits[Tier.C] == pytest.approx(0.0444)


def test_every_row_s_limits_are_in_order_and_above_zero(tier_set: TierSet) -> None:
    for where, row in all_rows(tier_set):
        a, b, c = (row.limits[t] for t in (Tier.A, Tier.B, Tier.C))
        best_first = (a, b, c) if row.sense is Sense.AT_MOST else (c, b, a)
        assert 0 < best_first[0] <= best_first[1] <= best_first[2], (where, row.id)


def test_every_row_says_its_evidence_and_a_source(tier_set: TierSet) -> None:
    for where, row in all_rows(tier_set):
        codes = set(row.evidence.split("+"))
        assert codes <= tiers.EVIDENCE_CODES, (where, row.id)
        assert row.source.strip(), (where, row.id)


def test_rows_of_second_hand_or_unverified_limits_are_marked(tier_set: TierSet) -> None:
    marked = {
        f"{where}.{row.id}"
        for where, row in all_rows(tier_set)
        if {"S", "K"} & set(row.evidence.split("+"))
    }

    assert marked == {
        "smart_home.mem",
        "wearable.mem",
        "wearable.fall_alarm",
        "xr.mtp",
        "computer.p_off",
        "commercial.face_pipe",
        "other.fall_alarm",
        "other.nav_rate",
    }


def test_every_source_key_that_a_row_names_is_explained(tier_set: TierSet) -> None:
    # "Galaxy S24" is a telephone, not a source
    key = re.compile(r"(?<!Galaxy )\b(?:M-rules|[MSW]\d+)\b")
    named = {k for _, row in all_rows(tier_set) for k in key.findall(row.source)}
    named |= {k for gate in tier_set.gates for k in key.findall(gate.source)}

    assert named == set(tier_set.sources)


def test_energy_rows_ask_of_a_at_most_65_percent_of_c(tier_set: TierSet) -> None:
    energy = [
        (where, row)
        for where, row in all_rows(tier_set)
        if row.family == "energy" and row.sense is Sense.AT_MOST
    ]

    # GB 28380-2025: the limit of grade 1 is 65 % of that of grade 3
    for where, row in energy:
        assert row.limits[Tier.A] <= 0.65 * row.limits[Tier.C], (where, row.id)
    assert len(energy) > 15


def test_every_measured_row_s_unit_fits_its_measurand(tier_set: TierSet) -> None:
    for where, row in all_rows(tier_set):
        if row.measurand:
            assert si_unit(row.unit) == MEASURANDS[row.measurand].unit, (where, row.id)
        else:
            assert row.needs, (where, row.id)


def test_every_statistic_in_words_is_the_measurand_that_answers(
    tier_set: TierSet,
) -> None:
    for where, row in all_rows(tier_set):
        for stat in ("p90", "p99", "p999"):
            if row.measurand == f"latency_{stat}":
                printed = row.statement.replace("p99.9", "p999")
                assert printed.endswith(f", {stat}"), (where, row.id)
                assert row.uses_bound, (where, row.id)


def test_common_core_rows_are_core_for_every_sub_type(tier_set: TierSet) -> None:
    for found in tier_set.classes.values():
        for subtype, ids in found.applies.items():
            assert ids[0] == "acc_ret", subtype
            assert set(ids) <= {row.id for row in found.rows}


def test_weights_of_every_class_add_up_to_one(tier_set: TierSet) -> None:
    for found in tier_set.classes.values():
        assert sum(found.weights.values()) == pytest.approx(1.0)


def test_the_file_says_that_no_authority_prescribes_it(tier_set: TierSet) -> None:
    assert tier_set.status == "proposal"
    assert "亦非山东省主管部门发布的评审标准" in tier_set.statement_zh
    assert "no authority" in tier_set.statement_en
    assert {gate.id for gate in tier_set.gates} == {
        "quality_target",
        "on_device",
        "no_crash",
    }


def test_the_shipped_file_agrees_with_the_proposal_it_was_made_from() -> None:
    if not PROPOSAL.is_file():
        pytest.skip("the proposal does not lie beside this checkout")
    proposal = tomllib.loads(PROPOSAL.read_text(encoding="utf-8"))
    shipped = tomllib.loads(tier_set_path("2026.1").read_text(encoding="utf-8"))

    theirs = {
        (name, r["id"]): _facts_of_proposal(r)
        for name, block in proposal.items()
        for r in block["tiers"]
    }
    ours = {("common", r["id"]): _facts(r) for r in shipped["common"]}
    for name, block in shipped["classes"].items():
        ours |= {(name, r["id"]): _facts(r) for r in block["rows"]}

    assert ours.keys() >= BEYOND
    assert {key: ours[key] for key in ours.keys() - BEYOND} == theirs
    for name, block in shipped["classes"].items():
        assert block["applies"] == proposal[name]["applies"]
        assert block["weights"] == proposal[name]["weights"]


def _facts(row: dict[str, Any]) -> tuple[object, ...]:
    words = (row["workload"], row["statistic"], row["evidence"])
    return (*words, row["limits"], row["core"], row["kind"])


def _facts_of_proposal(row: dict[str, Any]) -> tuple[object, ...]:
    limits = {key: row[key] for key in ("A", "B", "C", "unit")}
    limits["sense"] = row["dir"]
    words = (row["wl"], row["stat"], row["ev"])
    return (*words, limits, row["core"], row.get("kind", Kind.RELATIVE.value))


def test_an_unknown_version_lists_the_shipped_ones() -> None:
    with pytest.raises(UnknownName, match=r"no tier set '2026\.2'") as caught:
        tier_set_path("2026.2")

    assert caught.value.known == tier_set_versions() == ("2026.1",)


def test_a_version_cannot_climb_out_of_the_folder() -> None:
    with pytest.raises(UnknownName):
        tier_set_path("../wearable")


def test_the_exported_schema_is_up_to_date() -> None:
    exported = Path(tiers.__file__).with_name("tiers.v1.schema.json")

    assert exported.read_bytes() == json_schema(WrittenTierSet)


SMALL = """
format = "duanping/tiers/1"
version = "t"
status = "proposal"
statement_zh = "提案"
statement_en = "A proposal."
titles_zh = { A = "卓越", B = "优良", C = "合格", D = "未达标" }
sources = { M1 = "somewhere" }
gates = []

[[common]]
id = "acc_ret"
workload = "any"
statistic = "mean"
limits = { sense = ">=", A = 0.99, B = 0.98, C = 0.95, unit = "ratio" }
core = true
kind = "relative"
family = "accuracy"
measurand = "accuracy_retention"
evidence = "M"
source = "M1"

[classes.wearable]
title_zh = "可穿戴设备"
weights = { latency = 0.5, energy = 0.5 }
applies = { watch = ["kws_e"] }

[[classes.wearable.rows]]
id = "kws_e"
workload = "kws"
statistic = "median"
limits = { sense = "<=", A = 100, B = 700, C = 2000, unit = "uJ" }
core = true
kind = "relative"
family = "energy"
measurand = "energy_per_inference_net"
workloads = ["kws"]
scenario = "SingleStream"
evidence = "M"
source = "M1"
"""
ROW = "/classes/wearable/rows/0 (kws_e)"


def test_a_small_tier_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(SMALL, encoding="utf-8")

    found = load_tier_set(path).classes[DeviceClass.WEARABLE]

    assert [row.id for row in found.rows] == ["acc_ret", "kws_e"]
    assert found.applies == {"watch": ("acc_ret", "kws_e")}
    assert found.rows[1].statement == "kws, median"


@pytest.mark.parametrize(
    ("change", "what", "place", "remedy"),
    [
        (
            ('scenario = "SingleStream"', 'scenari = "SingleStream"'),
            "There is no key 'scenari' here",
            ROW,
            "Did you mean 'scenario'?",
        ),
        (
            ("A = 100,", "A = -100,"),
            "-100 may not stand here",
            f"{ROW}/limits/A",
            "It should be greater than 0.",
        ),
        (
            ("B = 700,", "B = 70,"),
            "The limits of row 'kws_e' are not in order",
            f"{ROW}/limits",
            "With <= the limit of A is the hardest to meet.",
        ),
        (
            ('unit = "uJ"', 'unit = "uW"'),
            "'uW' is no unit of energy_per_inference_net",
            f"{ROW}/limits/unit",
            "Use one of: J, mJ, uJ, µJ, nJ, pJ, Wh, mWh.",
        ),
        (
            ('unit = "uJ"', 'unit = "mj"'),
            "There is no unit 'mj'",
            f"{ROW}/limits/unit",
            "",
        ),
        (
            ('"energy_per_inference_net"', '"energy_per_inference"'),
            "There is no measurand 'energy_per_inference'",
            f"{ROW}/measurand",
            "energy_per_inference_net",
        ),
        (
            ('"energy_per_inference_net"', '""'),
            "Nothing here measures this row, and '' does not say",
            f"{ROW}/needs",
            "optical-rig",
        ),
        (
            (
                'evidence = "M"\nsource = "M1"\n\n[classes',
                'evidence = "M"\nneeds = "optical-rig"\nsource = "M1"\n\n[classes',
            ),
            "A row that is measured does not need 'optical-rig'",
            "/common/0 (acc_ret)/needs",
            "need one of: whole-device-power.",
        ),
        (
            ('id = "kws_e"', 'id = "acc_ret"'),
            "There is more than one row 'acc_ret'",
            "/classes/wearable/rows/0 (acc_ret)",
            "its own id",
        ),
        (
            ('"SingleStream"', '"SingleStreem"'),
            "There is no scenario 'SingleStreem'",
            f"{ROW}/scenario",
            "'SingleStream'",
        ),
        (
            ('watch = ["kws_e"]', 'watch = ["kws"]'),
            "There is no row 'kws' in this class",
            "/classes/wearable/applies/watch",
            "kws_e",
        ),
        (
            ("latency = 0.5,", "latency = 0.6,"),
            "The weights add up to 1.1",
            "/classes/wearable/weights",
            "Make it 1.",
        ),
        (
            (
                'evidence = "M"\nsource = "M1"\n\n[classes',
                'evidence = "M+X"\nsource = "M1"\n\n[classes',
            ),
            "There is no evidence code 'X'",
            "/common/0 (acc_ret)/evidence",
            "EJ",
        ),
        (
            (', D = "未达标"', ""),
            "The key 'D' is missing",
            "/titles_zh",
            "Add it.",
        ),
    ],
)
def test_a_wrong_tier_set_is_refused_by_file_row_and_remedy(
    tmp_path: Path, change: tuple[str, str], what: str, place: str, remedy: str
) -> None:
    old, new = change
    assert old in SMALL
    path = tmp_path / "t.toml"
    path.write_text(SMALL.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(SchemaError) as caught:
        load_tier_set(path)

    assert what in caught.value.what
    assert caught.value.where == f"{path}: {place}"
    assert remedy in caught.value.remedy
