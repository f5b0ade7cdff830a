"""Recordings of other programs: each form decoded, each fault told by its place."""

import struct
from array import array
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli._meter_capture import trace_bytes
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import (
    HarnessError,
    NotCalibrated,
    SchemaError,
    UnknownName,
    Unsupported,
)
from harness.meters.base import InstrumentDescription
from harness.meters.exports import binary, reading
from harness.meters.exports.reading import TraceFile, decode
from harness.meters.exports.trace import ImportedTrace, TraceOptions

STATED = TraceOptions(voltage_v=3.0, within_v=0.03)
NOTHING = TraceOptions()
PPK2 = "Timestamp(ms),Current(uA),D0-D7\n"


def watts(trace: ImportedTrace) -> list[float]:
    return [round(value, 9) for value in trace.power.values]


def ms(trace: ImportedTrace) -> list[float]:
    return [at / 1e6 for at in trace.power.times_ns]


# each with 1, 2, 3 mA at 2 V, a reading every millisecond from 0 on
FORMS = {
    "ppk2-app": PPK2 + "0,1000.000,10000001\n1,2000,10000001\n2,3000,1000000X\n",
    "joulescope-ui-0": "#time (s),current (A),voltage (V)\n"
    "0,0.001,2\n0.001,0.002,2\n0.002,0.003,2\n",
    "joulescope-ui": "# time,000042.i,000042.v\n0.0e+00,1e-3,2.0\n"
    "1.0e-03,2e-3,2.0\n2.0e-03,3e-3,2.0\n",
    "pyjls": "# timestamp,JS220-000042.current,JS220-000042.voltage\n"
    "0.000000,+1.0e-03,+2.0\n0.001000,+2.0e-03,+2.0\n0.002000,+3.0e-03,+2.0\n",
    "otii": '"Timestamp (s)","Arc Main Current (A)","Arc Main Voltage (V)"\n'
    '"0","0.001","2"\n"0.001","0.002","2"\n"0.002","0.003","2"\n',
    "monsoon-powertool": "Time (s),Main Avg Current (mA),Main Avg Voltage (V)\n"
    "0,1,2\n0.001,2,2\n0.002,3,2\n",
    "monsoon-powertool-usb": "Time (ms),USB Avg Power (mW)\n0,2\n1,4\n2,6\n",
    "monsoon-python": "Time(ms),Main(mA),Main Voltage(V),\n"
    "0,1.0,2.0,\n1,2.0,2.0,\n2,3.0,2.0,\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_told_by_its_headings_and_read_in_si_units(form: str) -> None:
    options = TraceOptions(voltage_v=2.0, within_v=0.02)

    trace = decode(
        FORMS[form].encode(), options if form == "ppk2-app" else NOTHING, form
    )

    assert trace.form == form
    assert watts(trace) == [0.002, 0.004, 0.006]
    assert ms(trace) == [1.0, 2.0, 3.0]  # the end of each reading's interval
    assert trace.loss == Loss(missing=0, expected=3)
    assert trace.clock.startswith(form)


def test_statistics_of_a_joulescope_may_carry_dates_and_are_stamped_at_their_end() -> (
    None
):
    text = (
        "#time,current,voltage,power,charge,energy\n"
        "20260131T120000.5Z,0.001,2,0.002,0,0\n"
        "20260131T120001.0Z,0.001,2,0.004,0,0\n"
        "20260131T120001.5Z,0.001,2,0.006,0,0\n"
    )

    trace = decode(text.encode(), NOTHING, "statistics.csv")

    assert trace.form == "joulescope-statistics"
    assert ms(trace) == [0.0, 500.0, 1000.0]
    assert trace.facts["begin_utc"].startswith("2026-01-31T12:00:00.500")


def test_wall_clock_times_of_otii_are_read() -> None:
    text = (
        '"Wall-clock time (UTC)","Arc Main Current (A)","Arc Main Voltage (V)"\n'
        + "".join(f'"2026-01-31 12:00:0{n}.250","0.001","2"\n' for n in range(4))
    )

    trace = decode(text.encode(), NOTHING, "otii.csv")

    assert ms(trace) == [1000.0, 2000.0, 3000.0, 4000.0]


def test_logic_inputs_of_a_ppk2_become_a_channel_where_their_states_are_known() -> None:
    trace = decode(FORMS["ppk2-app"].encode(), STATED, "ppk2.csv")

    logic = trace.blocks[1]
    assert logic.channel.name == "logic"
    assert list(logic.values) == [129.0, 129.0]  # D0 and D7; X says nothing


def test_eight_columns_say_the_same_as_one_of_eight_characters() -> None:
    heading = "Timestamp(ms),Current(uA),D0,D1,D2,D3,D4,D5,D6,D7\n"
    rows = "".join(f"{n},1000,1,0,0,0,0,0,1,0\n" for n in range(3))

    trace = decode((heading + rows).encode(), STATED, "ppk2.csv")

    assert list(trace.blocks[1].values) == [65.0, 65.0, 65.0]


def test_channels_that_are_all_off_give_no_logic() -> None:
    rows = "".join(f"{n},1000,--------\n" for n in range(3))

    assert len(decode((PPK2 + rows).encode(), STATED, "x").blocks) == 1


def test_rows_that_the_app_left_out_are_counted_and_not_filled_in() -> None:
    rows = "".join(f"{n},1000,00000000\n" for n in (0, 1, 2, 3, 7, 8, 9))

    trace = decode((PPK2 + rows).encode(), STATED, "ppk2.csv")

    assert trace.loss == Loss(missing=3, expected=10)
    assert len(trace.power.values) == 7


def test_an_empty_or_nan_value_is_missing_too() -> None:
    text = "Time (s),Main Avg Power (mW)\n0,1\n1,nan\n2,\n3,4\n4,5\n5,6\n6,7\n"

    trace = decode(text.encode(), NOTHING, "x.csv")

    assert trace.loss.missing == 2
    assert watts(trace) == [0.001, 0.004, 0.005, 0.006, 0.007]


def test_seconds_under_a_heading_of_milliseconds_are_told_by_the_instruments_pace() -> (
    None
):
    # PyPI's Monsoon writes the same second for each reading of a USB packet
    rows = "".join(f"{n // 3 * 3 / 5000!r},1.0,2.0,\n" for n in range(3000))

    trace = decode(
        ("Time(ms),Main(mA),Main Voltage(V),\n" + rows).encode(), NOTHING, "x.csv"
    )

    assert trace.step_s == pytest.approx(1 / 5000, rel=2e-3)
    assert trace.facts["times"].startswith("coarse")


def test_semicolons_and_decimal_commas_go_together() -> None:
    text = "Timestamp (s);Main Power (W)\n0,0;1,5\n0,1;2,5\n0,2;3,5\n"

    assert watts(decode(text.encode(), NOTHING, "x.csv")) == [1.5, 2.5, 3.5]


def test_a_last_line_that_was_cut_short_is_left_out_and_told() -> None:
    text = "Time (s),Main Avg Power (mW)\n0,10\n1,10\n2,10\n3,1"

    trace = decode(text.encode(), NOTHING, "x.csv")

    assert len(trace.power.values) == 3
    assert "cut_short" in trace.facts


def test_the_trace_of_energyrunner_is_energy_per_reading() -> None:
    data = b"\xf1" + struct.pack("<f3f", 1000.0, 50.0, 60.0, 70.0)

    trace = decode(data, TraceOptions(voltage_v=3.0, within_v=0.01), "trace1.bin")

    assert trace.form == "energyrunner"
    assert watts(trace) == pytest.approx([0.05, 0.06, 0.07])
    assert ms(trace) == [1.0, 2.0, 3.0]
    assert trace.voltage_ratio == 0.0  # the voltage chooses ranges, and nothing else


def test_a_cut_trace_of_energyrunner_loses_the_cut_reading_only() -> None:
    data = b"\xf1" + struct.pack("<f3f", 1000.0, 50.0, 60.0, 70.0) + b"\x00\x01"

    trace = decode(data, NOTHING, "x")

    assert len(trace.power.values) == 3
    assert "cut_short" in trace.facts


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_our_own_captures_come_back_with_their_origin(suffix: str) -> None:
    block = ReadingBlock(
        channel=Channel(name="power", unit="W", source="ppk2@sim:x", rate_hz=1000.0),
        clock="monotonic",
        origin=Origin.SIMULATED,
        times_ns=array("q", [5_000_000, 6_000_000, 7_000_000, 9_000_000]),
        values=array("d", [0.001, 0.002, 0.003, 0.004]),
    )
    who = InstrumentDescription(
        driver="ppk2",
        address="ppk2@sim:x",
        origin=Origin.SIMULATED,
        facts={"voltage_v": "3"},
    )
    data = trace_bytes(block, who, Loss(missing=1, expected=5), suffix)

    trace = decode(data, NOTHING, f"x{suffix}")

    assert trace.power.origin is Origin.SIMULATED
    assert trace.driver == "ppk2"
    assert trace.facts["voltage_v"] == "3"
    assert watts(trace) == [0.001, 0.002, 0.003, 0.004]
    assert ms(trace) == [0.0, 1.0, 2.0, 4.0]
    assert trace.loss == Loss(missing=1, expected=5)


def test_a_jls_file_is_read_by_its_makers_library(tmp_path: Path) -> None:
    pyjls = pytest.importorskip("pyjls", reason="the extra 'joulescope' is not here")
    path = tmp_path / "x.jls"
    amperes = np.full(5000, 1e-3, dtype=np.float32)
    amperes[100:103] = np.nan
    with pyjls.Writer(str(path)) as writer:
        writer.source_def(
            source_id=1,
            name="JS220-000042",
            vendor="Jetperch",
            model="JS220",
            version="",
            serial_number="000042",
        )
        for number, name, unit, values in (
            (1, "current", "A", amperes),
            (2, "voltage", "V", np.full(5000, 2.0, dtype=np.float32)),
        ):
            writer.signal_def(
                signal_id=number,
                source_id=1,
                signal_type=pyjls.SignalType.FSR,
                data_type=pyjls.DataType.F32,
                sample_rate=1000,
                name=name,
                units=unit,
            )
            writer.fsr_f32(number, 0, values)

    trace = decode(path.read_bytes(), NOTHING, "x.jls")

    assert trace.facts["serial_number"] == "000042"
    assert trace.loss == Loss(missing=3, expected=5000)
    assert set(watts(trace)) == {0.002}


def test_jls_without_the_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(binary.importlib, "import_module", absent)

    with pytest.raises(Unsupported, match=r"pip install 'duanping\[joulescope\]'"):
        decode(binary.JLS_MAGIC + b"rest", NOTHING, "x.jls")


MALFORMED = {
    "no known headings": ("a,b\n1,2\n", "No known program writes"),
    "units missing": ("Timestamp,Current\n0,1\n", "must name the units"),
    "no times": ("Current(uA)\n1\n2\n3\n", "has no column of times"),
    "headings alone": (PPK2, "no reading under them"),
    "two readings": (PPK2 + "0,1,\n1,1,\n", "2 readings, which make no trace"),
    "time goes back": (PPK2 + "0,1,\n1,1,\n2,1,\n1,1,\n", "back at reading 4"),
    "one time for all": (PPK2 + "0,1,\n" * 9, "the same time"),
    "decimal commas": (
        "Timestamp(ms),Current(uA)\n0,01,5,5\n",
        r"4 values where the headings name 2.*line 2.*decimal point",
    ),
    "text in a cell": (PPK2 + "0,1,\n1,oops,\n2,1,\n", "no number.*oops"),
    "a row too short": (PPK2 + "0,1,\n1\n2,1,\n", r"1 values.*line 3"),
    "no date": (
        '"Wall-clock time (UTC)","Main Power (W)"\n"yesterday","1"\n"x","1"\n',
        "no date and time",
    ),
    "UTF-16": ("Time (s),Main Power (W)\n", "UTF-16"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_each_malformed_file_gets_a_sentence_of_its_own(name: str) -> None:
    text, sentence = MALFORMED[name]
    data = text.encode("utf-16" if name == "UTF-16" else "utf-8")

    with pytest.raises(SchemaError, match=f"(?s){sentence}"):
        decode(data, STATED, "x.csv")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SchemaError, match="no text in UTF-8"):
        decode(b"\x80\x81\x82\n\xff\n", NOTHING, "x")


def test_raw_bytes_of_a_wire_are_told_from_a_trace() -> None:
    with pytest.raises(Unsupported, match="meters capture"):
        decode(b"duanping/capture/1\n{}\n", NOTHING, "raw.bin")


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_a_sentence(data: bytes) -> None:
    with suppress(HarnessError):
        decode(data, NOTHING, "x")


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40))
def test_what_the_ppk2_app_would_write_comes_back(micros: list[float]) -> None:
    rows = "".join(
        f"{n / 100:g},{micro:.3f},00000000\n" for n, micro in enumerate(micros)
    )

    trace = decode((PPK2 + rows).encode(), STATED, "x")

    wanted = [round(micro, 3) * 3e-6 for micro in micros]
    assert list(trace.power.values) == pytest.approx(wanted, abs=2e-9)


def test_current_alone_wants_a_voltage_and_how_well_it_is_known() -> None:
    data = FORMS["ppk2-app"].encode()

    with pytest.raises(Unsupported, match=r"voltage=3\.0V&within=30mV"):
        decode(data, NOTHING, "x")
    with pytest.raises(Unsupported, match="limits within which it lies"):
        TraceFile.parse("x.csv?voltage=3V")
    assert decode(data, STATED, "x").voltage_ratio == pytest.approx(0.01)


def test_a_voltage_that_was_recorded_cannot_be_stated_as_well() -> None:
    with pytest.raises(Unsupported, match=r"Leave \?voltage"):
        decode(FORMS["otii"].encode(), STATED, "x")


def test_the_name_of_a_file_may_be_followed_by_options(tmp_path: Path) -> None:
    odd = tmp_path / "what?.csv"
    odd.write_text(FORMS["otii"])

    assert TraceFile.parse("a.csv?meter=ppk2").options.meter == "ppk2"
    assert TraceFile.parse(str(odd)).path == odd
    with pytest.raises(UnknownName, match="voltage"):
        TraceFile.parse("a.csv?volts=3V")
    with pytest.raises(NotCalibrated, match="Nothing is known"):
        TraceFile.parse("a.csv?meter=abacus")


def test_a_file_that_is_missing_empty_or_huge_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"

    with pytest.raises(SchemaError, match="cannot be read"):
        TraceFile.parse(str(path)).read()
    path.write_text("\n")
    with pytest.raises(SchemaError, match="empty"):
        TraceFile.parse(str(path)).read()
    monkeypatch.setattr(reading, "MOST_BYTES", 0)
    with pytest.raises(SchemaError, match="lower rate"):
        TraceFile.parse(str(path)).read()


@pytest.mark.parametrize("name", ["otii", "monsoon", "joulescope", "ppk2", "lpm01a"])
def test_every_instrument_of_a_form_has_a_data_sheet(name: str) -> None:
    assert not reading.datasheet_of(name).is_hardware_verified
