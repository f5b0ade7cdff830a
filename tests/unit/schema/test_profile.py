"""Device profiles: what is read, and how a slip of the pen is answered."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.profile import DeviceClass, Scheme
from harness.errors import HarnessError, SchemaError, UnknownName
from harness.schema import profile as profile_module
from harness.schema.profile import (
    WrittenProfile,
    load_profile,
    profile_names,
    profile_path,
)
from harness.schema.profile_text import profile_text
from harness.schema.reading import json_schema

WRITTEN = """
format = "duanping/profile/1"
name = "my-band"
class = "wearable"
title_zh = "我的手环"
title_en = "My band"
suite = "wearable"
tier_set = "2026.1"
subtypes = ["ring_band"]

[device]
kind = "microcontroller"
ram = "256 KiB"
battery = "1.1 Wh"
refresh_rate = "60 Hz"
scheme = "u8s8"

[conditions]
ambient_min = "-20 degC"
ambient_max = "25 degC"
device_max_start = "35 degC"
supply_voltage = "3.3 V"
governor = "performance"
threads = 2

[emulation]
form = "rates/1"
stands_for = "a board"

[emulation.parameters]
mac_rate.dense = { value = "90 MMAC/s", source = "datasheet:board, page 3" }
per_kernel = { value = "20 us", source = "assumed" }
"""


def written(tmp_path: Path, text: str = WRITTEN) -> Path:
    path = tmp_path / "my-band.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_is_read_in_units_inside(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path))

    assert profile.name == "my-band"
    assert profile.device_class is DeviceClass.WEARABLE
    assert profile.subtypes == ("ring_band",)
    assert profile.is_os_class is False
    assert profile.ram_bytes == 262_144
    assert profile.battery_j == pytest.approx(3960.0)
    assert profile.refresh_hz == 60.0
    assert profile.scheme is Scheme.U8S8
    assert profile.conditions.ambient_min_degc == -20.0
    assert profile.conditions.device_max_start_degc == 35.0
    assert profile.conditions.supply_voltage_v == pytest.approx(3.3)
    assert profile.conditions.governor == "performance"
    assert profile.conditions.intra_op_threads == 2


def test_parameters_of_a_device_model_keep_value_unit_and_source(
    tmp_path: Path,
) -> None:
    emulation = load_profile(written(tmp_path)).emulation

    assert emulation is not None
    assert emulation.form == "rates/1"
    assert emulation.stands_for == "a board"
    rate = emulation.parameters["mac_rate.dense"]
    assert (rate.value, rate.unit) == (90e6, "MAC/s")
    assert rate.source == "datasheet:board, page 3"
    assert emulation.parameters["per_kernel"].value == pytest.approx(2e-5)


def test_what_is_to_be_off_is_read_and_written_back(tmp_path: Path) -> None:
    text = WRITTEN.replace(
        "[conditions]",
        '[conditions]\nscreen = "off"\nradios = "off"\nwished = ["radios"]',
    )

    profile = load_profile(written(tmp_path, text))

    assert (profile.conditions.screen, profile.conditions.radios) == ("off", "off")
    assert profile.conditions.wished == ("radios",)
    again = written(tmp_path, profile_text(profile))
    assert load_profile(again).conditions == profile.conditions


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('wished = ["weather"]', "'weather' cannot be wished for"),
        ('wished = ["screen"]', "'screen' is wished for and not said how"),
        ('screen = "dim"', "screen"),
    ],
)
def test_a_wish_that_means_nothing_is_refused(
    tmp_path: Path, line: str, sentence: str
) -> None:
    text = WRITTEN.replace("[conditions]", f"[conditions]\n{line}")

    with pytest.raises(SchemaError, match=sentence):
        load_profile(written(tmp_path, text))


def test_device_conditions_and_emulation_may_be_left_out(tmp_path: Path) -> None:
    short = WRITTEN.split("[device]", maxsplit=1)[0]

    profile = load_profile(written(tmp_path, short))

    assert profile.is_os_class is True
    assert profile.ram_bytes is None
    assert profile.emulation is None
    assert profile.conditions.ambient_min_degc == 21.0


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("battery =", "battery_j =", "Did you mean 'battery'"),
        ('ram = "256 KiB"', 'ram = "256 Hz"', "/device/ram"),
        ('ram = "256 KiB"', "ram = 256", "256 may not stand here"),
        ('ram = "256 KiB"', 'ram = "-256 KiB"', "'-256 KiB' is negative"),
        ('ram = "256 KiB"', 'ram = "0 KiB"', "above zero"),
        ('"1.1 Wh"', '"1.1"', "/device/battery"),
        ('"1.1 Wh"', '"1.1 Ah"', "/device/battery"),
        ('"25 degC"', '"-25 degC"', "/conditions"),
        ('value = "20 us", source = "assumed"', 'value = "20 us"', "'source' is missi"),
        ('source = "assumed"', 'source = "guessed"', "where the number is from"),
        ('value = "20 us"', 'value = "-20 us"', "/emulation/parameters/per_kernel"),
        ('value = "20 us"', 'value = "20"', "is not a quantity"),
        ('value = "20 us"', 'value = "20 uz"', "parameters/per_kernel/value"),
        ('name = "my-band"', 'name = "My Band"', "not lower-case"),
        ('kind = "microcontroller"', 'kind = "mcu"', "'mcu' may not stand here"),
        ('format = "duanping/profile/1"', 'format = "x"', "/format"),
        ("[emulation.parameters]", "parameters = 3\n[other]", "no key 'other'"),
    ],
)
def test_a_slip_is_answered_with_its_place_and_a_remedy(
    right: str, wrong: str, sentence: str, tmp_path: Path
) -> None:
    assert right in WRITTEN

    with pytest.raises(SchemaError) as refusal:
        load_profile(written(tmp_path, WRITTEN.replace(right, wrong)))

    assert sentence in refusal.value.sentence()
    assert "my-band.toml" in refusal.value.sentence()


@pytest.mark.parametrize(
    ("right", "wrong", "near"),
    [
        ('class = "wearable"', 'class = "wearables"', "'wearable'"),
        ('suite = "wearable"', 'suite = "wareable"', "'wearable'"),
    ],
)
def test_an_unknown_class_or_suite_is_answered_with_the_near_ones(
    right: str, wrong: str, near: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName) as refusal:
        load_profile(written(tmp_path, WRITTEN.replace(right, wrong)))

    assert near in refusal.value.sentence()
    assert "my-band.toml: /" in refusal.value.sentence()


def test_the_defaults_of_all_eight_classes_are_shipped_and_can_be_read() -> None:
    profiles = {name: load_profile(profile_path(name)) for name in profile_names()}

    assert {one.value for one in DeviceClass} <= set(profiles)
    for name, profile in profiles.items():
        assert profile.name == name
        assert profile.device_class == name or name not in set(DeviceClass)
        assert profile.subtypes


def test_there_are_at_least_twelve_devices_besides_the_class_defaults() -> None:
    devices = set(profile_names()) - set(DeviceClass)

    assert len(devices) >= 12
    for name in devices:
        emulation = load_profile(profile_path(name)).emulation
        assert emulation is not None
        assert emulation.sources
        assert emulation.covered is not None
        assert emulation.left_out


def test_a_class_default_whose_numbers_name_no_source_of_theirs_is_refused(
    tmp_path: Path,
) -> None:
    text = profile_path("wearable").read_text(encoding="utf-8")
    without = text[: text.index("[[emulation.sources]]")]

    with pytest.raises(SchemaError, match="not among its sources"):
        load_profile(written(tmp_path, without))
    own = without.replace('name = "wearable"', 'name = "my-band"')
    assert load_profile(written(tmp_path, own)).name == "my-band"


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_that_is_written_reads_back_as_it_was(
    name: str, tmp_path: Path
) -> None:
    profile = load_profile(profile_path(name))
    assert profile.emulation is not None

    again = load_profile(written(tmp_path, profile_text(profile, remark="a\nb")))

    assert again.emulation is not None
    assert replace(again, emulation=None) == replace(profile, emulation=None)
    before, after = profile.emulation.parameters, again.emulation.parameters
    assert list(after) == list(before)
    for key, one in before.items():
        assert after[key].value == pytest.approx(one.value, rel=1e-3)
        assert after[key].source == one.source
    assert again.emulation.sources == profile.emulation.sources
    assert again.emulation.stack == profile.emulation.stack
    for table in ("left_out", "known", "family_known"):
        ours, theirs = (getattr(p.emulation, table) for p in (again, profile))
        for left, right in zip(ours, theirs, strict=True):
            assert left.model == right.model
            assert left.log_ratio == pytest.approx(right.log_ratio, abs=1e-3)


def test_every_number_of_a_shipped_device_model_has_a_source() -> None:
    for name in profile_names():
        emulation = load_profile(profile_path(name)).emulation

        assert emulation is not None
        for parameter in emulation.parameters.values():
            assert parameter.source.startswith(
                ("fit:", "datasheet:", "transferred:", "assumed")
            )


def test_a_profile_is_found_by_name_or_by_path() -> None:
    assert profile_path("wearable").name == "wearable.toml"
    assert profile_path("./my.toml") == Path("my.toml")

    with pytest.raises(UnknownName, match="Did you mean 'wearable'"):
        profile_path("wareable")


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")


def test_the_exported_schema_is_up_to_date() -> None:
    exported = Path(profile_module.__file__).with_name("profile.v1.schema.json")

    assert exported.read_bytes() == json_schema(WrittenProfile)


def test_a_profile_says_which_provider_models_are_given_to(tmp_path: Path) -> None:
    text = profile_path("wearable").read_text(encoding="utf-8")
    runtime = (
        '[runtime]\nprovider = "QNNExecutionProvider"\n'
        '[runtime.options]\nbackend_path = "libQnnHtp.so"\n\n[device]'
    )
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("[device]", runtime, 1), encoding="utf-8")

    profile = load_profile(path)

    assert profile.provider == "QNNExecutionProvider"
    assert profile.provider_options == (("backend_path", "libQnnHtp.so"),)
    again = tmp_path / "again.toml"
    again.write_text(profile_text(profile), encoding="utf-8")
    written = load_profile(again)
    assert written.provider == profile.provider
    assert written.provider_options == profile.provider_options
