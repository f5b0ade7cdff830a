"""Nouns to JSON and back: canonical bytes, lenient reading."""

import json

import pytest

from harness.domain.plan import Plan
from harness.errors import SchemaError
from harness.schema.codec import dump_bytes, load_bytes
from harness.testing.builders import a_record


def test_a_plan_survives_the_way_to_json_and_back() -> None:
    plan = a_record().plan

    again = load_bytes(Plan, dump_bytes(plan), where="plan.json")

    assert again == plan


def test_the_same_noun_gives_the_same_bytes() -> None:
    assert dump_bytes(a_record().plan) == dump_bytes(a_record().plan)


def test_keys_that_a_newer_version_wrote_are_ignored() -> None:
    plain = json.loads(dump_bytes(a_record().plan))
    plain["colour"] = "green"

    again = load_bytes(Plan, json.dumps(plain).encode(), where="plan.json")

    assert again == a_record().plan


def test_what_is_not_json_is_refused_with_its_place() -> None:
    with pytest.raises(SchemaError, match=r"This is not JSON.*\(plan\.json\)"):
        load_bytes(Plan, b"{", where="plan.json")


def test_a_wrong_value_is_refused_with_its_place() -> None:
    plain = json.loads(dump_bytes(a_record().plan))
    plain["preset"]["runs"] = "many"

    with pytest.raises(SchemaError, match=r"At preset\.runs"):
        load_bytes(Plan, json.dumps(plain).encode(), where="plan.json")
