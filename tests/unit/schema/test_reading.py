"""What is wrong in a written file is said with file, place and remedy."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from harness.errors import SchemaError
from harness.schema.reading import (
    Written,
    attributed_to,
    json_schema,
    pointer,
    read_toml,
    validate,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Square(Written):
    shape: Literal["square"]
    side: float = Field(gt=0)


class Circle(Written):
    shape: Literal["circle"]
    radius: float = Field(gt=0)


class Row(Written):
    id: str
    limit: float
    colour: Colour = Colour.RED
    names: tuple[str, ...] = ()
    is_core: bool = False

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not value:
            raise ValueError("An id has at least one letter")
        return value


class Page(Written):
    title: str
    rows: tuple[Row, ...] = ()
    by_name: dict[str, Row] = Field(default_factory=dict)
    first: Row | None = None
    figure: Annotated[Square | Circle, Field(discriminator="shape")] | None = None


def refusal(data: Mapping[str, object], form: type[BaseModel] = Page) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        validate(form, data, "page.toml")
    return caught.value


def test_a_good_file_fills_the_form(tmp_path: Path) -> None:
    path = tmp_path / "page.toml"
    path.write_text(
        'title = "端评"\nrows = [{ id = "a", limit = 3, colour = "blue" }]',
        encoding="utf-8",
    )

    page = validate(Page, read_toml(path), str(path))

    assert page.rows[0].limit == 3.0
    assert page.rows[0].colour is Colour.BLUE
    assert page.rows[0].names == ()


def test_an_unknown_key_is_named_with_the_nearest_known_one() -> None:
    data = {"title": "t", "rows": [{"id": "kws_e", "limt": 1.0}]}

    error = refusal(data)

    assert error.sentence() == (
        "There is no key 'limt' here (page.toml: /rows/0 (kws_e)). "
        "Did you mean 'limit'?"
    )


def test_an_unknown_key_inside_a_table_of_tables_is_named_too() -> None:
    error = refusal({"title": "t", "by_name": {"one": {"id": "a", "colr": "red"}}})

    assert error.where == "page.toml: /by_name/one"
    assert error.remedy == "Did you mean 'colour'?"


def test_an_unknown_key_inside_a_tagged_union_is_named_too() -> None:
    data = {"title": "t", "figure": {"shape": "circle", "radios": 1.0}}

    error = refusal(data)

    assert "'radios'" in error.what
    assert error.remedy == "Did you mean 'radius'?"


def test_an_unknown_key_inside_an_optional_table_is_named_too() -> None:
    error = refusal({"title": "t", "first": {"id": "a", "limit": 1, "colr": "red"}})

    assert error.where == "page.toml: /first"
    assert error.remedy == "Did you mean 'colour'?"


def test_a_key_like_no_other_gets_the_list_of_known_keys() -> None:
    error = refusal({"title": "t", "xyzzy": 1})

    assert error.where == "page.toml: /"
    assert error.remedy == "Known: by_name, figure, first, rows, title."


def test_a_missing_key_is_named() -> None:
    error = refusal({"rows": []})

    assert error.sentence() == "The key 'title' is missing (page.toml: /). Add it."


@pytest.mark.parametrize(
    ("row", "place", "remedy"),
    [
        ({"id": "a", "limit": "5"}, "limit", "It should be a valid number."),
        ({"id": "a", "limit": 1, "is_core": 1}, "is_core", "a valid boolean."),
        ({"id": "a", "limit": 1, "colour": "pink"}, "colour", "'red' or 'blue'."),
        ({"id": 3, "limit": 1}, "id", "It should be a valid string."),
        ({"id": "a", "limit": float("nan")}, "limit", "It should be a finite number."),
        ({"id": "a", "limit": float("inf")}, "limit", "It should be a finite number."),
    ],
)
def test_a_wrong_value_is_shown_with_what_may_stand_there(
    row: Mapping[str, object], place: str, remedy: str
) -> None:
    error = refusal({"title": "t", "rows": [row]})

    assert error.where.endswith(f"/{place}")
    assert error.what.endswith("may not stand here")
    assert error.remedy.endswith(remedy)


def test_a_long_wrong_value_is_cut_short() -> None:
    error = refusal({"title": ["word"] * 100})

    assert len(error.what) < 100
    assert "…" in error.what


def test_a_form_s_own_sentence_is_passed_on() -> None:
    error = refusal({"title": "t", "rows": [{"id": "", "limit": 1}]})

    assert error.what == "An id has at least one letter"


def test_broken_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('title = "t"\nrows = [\n  { id = a }\n]\n', encoding="utf-8")

    with pytest.raises(SchemaError, match=r"not TOML.*line 3") as caught:
        read_toml(path)

    assert caught.value.where == str(path)


def test_a_file_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "gbk.toml"
    path.write_bytes('title = "端评"'.encode("gbk"))

    with pytest.raises(SchemaError, match="not UTF-8"):
        read_toml(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")


def test_a_noun_s_refusal_names_the_file() -> None:
    with pytest.raises(SchemaError) as caught, attributed_to("p.toml: /rows", "Do x."):
        raise ValueError("the limits are not in order")

    assert caught.value.sentence() == (
        "The limits are not in order (p.toml: /rows). Do x."
    )


def test_a_place_outside_the_data_still_has_a_pointer() -> None:
    assert pointer({"rows": []}, ("rows", 2, "id")) == "/rows/2/id"


def test_an_exported_schema_names_its_dialect_and_forbids_unknown_keys() -> None:
    text = json_schema(Page).decode()

    assert '"$schema": "https://json-schema.org/draft/2020-12/schema"' in text
    assert '"additionalProperties": false' in text
