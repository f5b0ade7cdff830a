from pathlib import Path

import pytest

from harness.catalogue.bindings import InputBindings, parse_bindings
from harness.errors import ExitCode, UsageError


def test_shapes_and_ranges_are_read_by_name() -> None:
    bindings = parse_bindings(
        ["input=1,3,224,224", "height=320"], ["input=-1:1"], Path("samples.npz")
    )

    assert bindings == InputBindings(
        shapes={"input": (1, 3, 224, 224), "height": (320,)},
        ranges={"input": (-1.0, 1.0)},
        samples=Path("samples.npz"),
    )


def test_a_name_may_hold_colons_slashes_and_equals_signs() -> None:
    bindings = parse_bindings(["a=b/c:0=1,2"], ["serving:0=0:255"], None)

    assert bindings.shapes == {"a=b/c:0": (1, 2)}
    assert bindings.ranges == {"serving:0": (0.0, 255.0)}


@pytest.mark.parametrize(
    "text", ["224", "=1,2", "x=", "x=1,,2", "x=-1,3", "x=1.5", "x=1x3", "x=²"]
)
def test_what_is_no_shape_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_bindings([text], [], None)

    assert "--shape input=1,3,224,224" in refusal.value.sentence()
    assert refusal.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "text", ["0:1", "x=1", "x=a:b", "x=2:1", "x=nan:1", "x=0:inf", "x=0:1:2"]
)
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_bindings([], [text], None)

    assert "--range input=low:high" in refusal.value.sentence()


def test_one_name_cannot_have_two_values() -> None:
    with pytest.raises(UsageError, match="'h' is given twice"):
        parse_bindings(["h=1", "h=2"], [], None)


def test_saying_the_same_twice_is_no_mistake() -> None:
    assert parse_bindings(["h=1", "h=1"], [], None).shapes == {"h": (1,)}
