"""Recordings that are no text: EnergyRunner's trace, and Joulescope's JLS.

EnergyRunner (EEMBC, used by MLPerf Tiny): one byte F1, the readings a second as a
32-bit float, and a 32-bit float for each reading, the energy of its interval in µJ;
little endian. Seen in the results that MLCommons published (tiny_results_v1.2,
``trace1-energy.bin``).

JLS is read by Jetperch's own library, pyjls (PyPI), an optional extra.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.errors import SchemaError, Unsupported
from harness.meters.exports.forms import Stamp
from harness.meters.exports.timeline import timeline
from harness.meters.exports.trace import (
    ImportedTrace,
    Quantities,
    Source,
    TraceOptions,
    assembled,
    digest_of,
    watts,
)

ENERGY_MARK = b"\xf1"
JLS_MAGIC = b"jlsfmt\r\n"
_HEAD = 5
_MICRO = 1e-6
_FASTEST_HZ = 2e6
_SIGNALS = {"current": "A", "voltage": "V", "power": "W"}


def is_energy_trace(data: bytes) -> bool:
    """Say whether these bytes are EnergyRunner's: its mark and a plausible rate."""
    if data[:1] != ENERGY_MARK or len(data) < _HEAD:
        return False
    rate = float(np.frombuffer(data[1:_HEAD], "<f4")[0])
    return 1.0 <= rate <= _FASTEST_HZ


def decode_energy(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode EnergyRunner's trace; a reading that is cut short is left out.

    Raises SchemaError for values that are no energies, Unsupported for a voltage.
    """
    rate = float(np.frombuffer(data[1:_HEAD], "<f4")[0])
    whole = (len(data) - _HEAD) // 4 * 4
    energies = np.frombuffer(data[_HEAD : _HEAD + whole], "<f4").astype(np.float64)
    if not np.isfinite(energies).all():
        place = int(np.flatnonzero(~np.isfinite(energies))[0])
        raise SchemaError(
            f"Reading {place + 1} is no number",
            where=where,
            remedy="Take the file anew from the runner's session folder.",
        )
    found = Quantities(
        seconds=np.arange(len(energies)) / rate, power_w=energies * _MICRO * rate
    )
    facts = (
        {"cut_short": "a reading was cut and left out"}
        if whole + _HEAD < len(data)
        else {}
    )
    source = Source(
        where=where,
        form="energyrunner",
        program="EEMBC EnergyRunner",
        driver=options.meter or "lpm01a",
        digest=digest_of(data),
    )
    return _made(found, options, source, facts)


def decode_jls(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode a JLS file, whose readings that were lost are NaN.

    Raises Unsupported without pyjls, SchemaError for a file that it cannot read or
    that has neither power nor current at one rate.
    """
    with _reader(data, where) as reader:
        found, facts = _signals(reader, where)
    source = Source(
        where=where,
        form="jls",
        program="Joulescope JLS",
        driver=options.meter or "joulescope",
        digest=digest_of(data),
    )
    return _made(found, options, source, facts)


def _made(
    found: Quantities, options: TraceOptions, source: Source, facts: dict[str, str]
) -> ImportedTrace:
    power_w, how, voltage_ratio = watts(found, options, source.where)
    kept = np.isfinite(power_w)
    line = timeline(found.seconds[kept], source.where)
    return ImportedTrace(
        form=source.form,
        program=source.program,
        driver=source.driver,
        clock=source.clock,
        blocks=assembled(line, power_w[kept], None, source, Stamp.BEGIN),
        loss=line.loss,
        step_s=line.step_s,
        voltage_ratio=voltage_ratio,
        facts={**facts, **how},
    )


@contextmanager
def _reader(data: bytes, where: str) -> Iterator[Any]:
    try:
        library = importlib.import_module("pyjls")
    except ImportError as error:
        raise Unsupported(
            "Reading a .jls file needs the Python package pyjls",
            where=where,
            remedy="pip install 'duanping[joulescope]', or export it as CSV: "
            "python -m pyjls csv IN.jls OUT.csv --count 1000000",
        ) from error
    with TemporaryDirectory() as folder:
        # the library opens files by name only, and may repair what it opens
        path = Path(folder) / "trace.jls"
        path.write_bytes(data)
        try:
            reader = library.Reader(str(path))
        except (RuntimeError, ValueError, OSError) as error:
            raise SchemaError(
                f"pyjls cannot read this file: {error}",
                where=where,
                remedy="Open it in the Joulescope UI and export it anew.",
            ) from error
        with reader:
            yield reader


def _signals(reader: Any, where: str) -> tuple[Quantities, dict[str, str]]:  # noqa: ANN401 - a library's
    signals = {
        signal.name: signal
        for signal in reader.signals.values()
        if signal.name in _SIGNALS and signal.length > 0
    }
    if not {"power", "current"} & set(signals):
        raise SchemaError(
            "The file holds neither power nor current",
            where=where,
            remedy="Record with the signals current, voltage and power enabled.",
        )
    rates = {signal.sample_rate for signal in signals.values()}
    if len(rates) > 1:
        raise SchemaError(
            "The signals of the file have different rates",
            where=where,
            remedy="Record them at one rate.",
        )
    # one signal may start a few readings after another
    count = min(signal.length for signal in signals.values())
    values = {
        name: np.asarray(reader.fsr(signal.signal_id, 0, count), dtype=np.float64)
        for name, signal in signals.items()
    }
    first = next(iter(signals.values()))
    source = reader.sources[first.source_id]
    facts = {"model": source.model, "serial_number": source.serial_number}
    return Quantities(
        seconds=np.arange(count) / rates.pop(),
        power_w=values.get("power"),
        current_a=values.get("current"),
        voltage_v=values.get("voltage"),
    ), {key: text for key, text in facts.items() if text}
