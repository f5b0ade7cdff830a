from pathlib import Path

import pytest

from harness.domain.board import Board
from harness.errors import SchemaError, UsageError
from harness.schema import lab as lab_module
from harness.schema.lab import Lab, WrittenLab, find_lab, load_lab
from harness.schema.reading import json_schema

WHOLE = """\
format = "duanping/lab/1"
deviations = ["preset quick", "no climatic chamber"]
external = ["GB 28380 report 2026-17"]
equipment = ["Otii Arc Pro, no. 17, calibrated 2026-03-01"]
opinions = []

[lab]
name = "端侧智能实验室"
address = "济南市"
location = "site of the laboratory"
accredited = true
accreditation = "CNAS L0000"

[customer]
name = "某某科技有限公司"
contact = "contact@example.org"

[item]
brand = "Example"
model = "W-1"
sn = "0001"
fw = "1.2.3"
hw = "B"
battery = "1.1 Wh, 100 %"
condition = "as new"

[dates]
received = 2026-03-02
from = 2026-03-03
to = "2026-03-04"
issued = 2026-03-05

[sampling]
plan = "送样"
units = 3

[authorised]
by = "N. N."
role = "technical manager"

[conditions]
ambient = "23.5 degC"

[targets.wearable]
address = "linux@ssh:root@10.0.0.2"

[meters.supply]
address = "ppk2@serial:/dev/ttyACM0"
"""


def read(tmp_path: Path, text: str) -> Lab:
    path = tmp_path / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return load_lab(path)


def test_a_whole_lab_file_gives_the_fields_of_the_report(tmp_path: Path) -> None:
    lab = read(tmp_path, WHOLE)

    assert lab.info.fields == {
        "lab.name": "端侧智能实验室",
        "lab.address": "济南市",
        "lab.location": "site of the laboratory",
        "lab.accreditation": "CNAS L0000",
        "customer.name": "某某科技有限公司",
        "customer.contact": "contact@example.org",
        "item.brand": "Example",
        "item.model": "W-1",
        "item.sn": "0001",
        "item.fw": "1.2.3",
        "item.hw": "B",
        "item.battery": "1.1 Wh, 100 %",
        "item.condition": "as new",
        "dates.received": "2026-03-02",
        "dates.from": "2026-03-03",
        "dates.to": "2026-03-04",
        "dates.issued": "2026-03-05",
        "sampling.plan": "送样",
        "sampling.units": "3",
        "authorised_by": "N. N.",
        "authorised_role": "technical manager",
        "deviations": "preset quick; no climatic chamber",
        "external": "GB 28380 report 2026-17",
        "equipment": "Otii Arc Pro, no. 17, calibrated 2026-03-01",
    }


def test_a_whole_lab_file_gives_what_is_plugged_in(tmp_path: Path) -> None:
    lab = read(tmp_path, WHOLE)

    assert lab.ambient_degc == 23.5
    assert lab.targets == {"wearable": "linux@ssh:root@10.0.0.2"}
    assert lab.meters == {"supply": "ppk2@serial:/dev/ttyACM0"}


def test_a_target_named_like_the_profile_is_the_device(tmp_path: Path) -> None:
    lab = read(tmp_path, WHOLE)

    assert lab.target_for("wearable") == "linux@ssh:root@10.0.0.2"
    assert lab.target_for("xr") is None


def test_a_file_that_gives_nothing_is_a_lab_without_anything(tmp_path: Path) -> None:
    assert read(tmp_path, 'format = "duanping/lab/1"\n') == Lab()


@pytest.mark.parametrize(
    ("old", "new", "said", "place"),
    [
        ("brand =", "brnad =", "Did you mean 'brand'", "/item"),
        ("[customer]", "[custmer]", "Did you mean 'customer'", "lab.toml"),
        ("from =", "form =", "Did you mean 'from'", "/dates"),
        ('"23.5 degC"', '"23.5 C"', "unit 'C'", "/conditions/ambient"),
        ('"23.5 degC"', '"296 degC"', "No laboratory", "/conditions/ambient"),
        ('"23.5 degC"', "23.5", "may not stand here", "/conditions/ambient"),
        ('"ppk2@serial:/dev/ttyACM0"', '"ppk2"', "address", "/meters/supply/address"),
        ('address = "linux@ssh', 'adress = "linux@ssh', "address", "/targets/wearable"),
        ('accreditation = "CNAS L0000"\n', "", "has a number", "/lab"),
        ("accredited = true", 'accredited = "yes"', "'yes'", "/lab/accredited"),
        ("duanping/lab/1", "duanping/lab/2", "duanping/lab/1", "/format"),
    ],
)
def test_a_slip_of_the_pen_is_met_with_place_and_remedy(
    tmp_path: Path, old: str, new: str, said: str, place: str
) -> None:
    assert old in WHOLE

    with pytest.raises(UsageError) as refusal:
        read(tmp_path, WHOLE.replace(old, new, 1))

    assert said in refusal.value.sentence()
    assert place in refusal.value.where


def test_a_lab_file_is_found_in_the_folder_only(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "lab.toml").write_text('format = "duanping/lab/1"\n')

    assert find_lab(tmp_path) == tmp_path / "lab.toml"
    assert find_lab(inner) is None


def test_a_lab_file_that_was_asked_for_and_is_missing_is_an_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(SchemaError):
        load_lab(tmp_path / "lab.toml")


def test_the_exported_schema_is_up_to_date() -> None:
    exported = Path(lab_module.__file__).parent / "lab.v1.schema.json"

    assert exported.read_bytes() == json_schema(WrittenLab)


def test_a_laboratory_that_is_not_accredited_shows_no_accreditation(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        'format = "duanping/lab/1"\n'
        "[lab]\n"
        "accredited = false\n"
        'accreditation = "CNAS L0000"\n'
    )

    lab = load_lab(path)

    assert "lab.accreditation" not in lab.info.fields


def test_what_is_known_of_a_board_stands_under_its_address(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        'format = "duanping/lab/1"\n'
        "[targets.wearable]\n"
        'address = "linux@ssh:root@192.168.7.2"\n'
        'host_key = "SHA256:abc"\n'
        'client_key = "keys/board"\n'
        "[targets.xr]\n"
        'address = "linux@ssh:root@192.168.7.3"\n'
    )

    lab = load_lab(path)

    board = lab.boards["linux@ssh:root@192.168.7.2"]
    assert board.host_key == "SHA256:abc"
    assert board.client_key == str(tmp_path / "keys" / "board")
    assert board.python == "python3"
    assert list(lab.boards) == ["linux@ssh:root@192.168.7.2"]


def test_a_key_for_what_is_no_board_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        'format = "duanping/lab/1"\n'
        "[targets.wearable]\n"
        'address = "local@"\n'
        'host_key = "SHA256:abc"\n'
    )

    with pytest.raises(SchemaError, match="'host_key' is for boards"):
        load_lab(path)


def a_power(tmp_path: Path, *lines: str, more: str = "") -> Board:
    text = "\n".join(
        (
            'format = "duanping/lab/1"\n[targets.b]\naddress = "linux@ssh:b"',
            more,
            "[targets.b.power]",
            *lines,
        )
    )
    return read(tmp_path, text).boards["linux@ssh:b"]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('uhubctl = "-l 1-1 -p 2"', "uhubctl -l 1-1 -p 2 -a off"),
        ('labgrid = "desk3"', "labgrid-client -p desk3 power off"),
        ('off = "hub 0"\non = "hub 1"', "hub 0"),
    ],
)
def test_a_supply_is_switched_by_commands_or_by_a_program_that_is_known(
    tmp_path: Path, line: str, command: str
) -> None:
    board = a_power(tmp_path, line)

    assert board.power_off == command
    assert board.power_on


@pytest.mark.parametrize(
    ("lines", "more", "sentence"),
    [
        (('off = "hub 0"',), "", "go together"),
        (('uhubctl = "-p 2"', 'cycle = "x"'), "", "gives all three"),
        (('labgrid = "p"',), 'power_cycle = "x"', "gives all three"),
        (('cycle = "y"',), 'power_cycle = "x"', "given twice"),
        (('of = "hub 0"',), "", "Did you mean"),
    ],
)
def test_half_a_supply_and_two_of_them_are_refused(
    tmp_path: Path, lines: tuple[str, ...], more: str, sentence: str
) -> None:
    with pytest.raises(SchemaError, match=sentence):
        a_power(tmp_path, *lines, more=more)
