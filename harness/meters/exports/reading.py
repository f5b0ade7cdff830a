"""A recording on disk: found, told by its content, decoded."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import SchemaError, Unsupported
from harness.links.replay import FORMAT as RAW_FORMAT
from harness.meters.datasheet import datasheet_of
from harness.meters.exports.binary import (
    JLS_MAGIC,
    decode_energy,
    decode_jls,
    is_energy_trace,
)
from harness.meters.exports.own import (
    CSV_BEGINS,
    PARQUET_MAGIC,
    decode_csv,
    decode_parquet,
)
from harness.meters.exports.tables import decode_table
from harness.meters.exports.trace import ImportedTrace, TraceOptions

MOST_BYTES = 1 << 30
"""A larger file would want more memory than a laptop has to spare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFile:
    """A file of a recording, and what a person says of it."""

    path: Path
    options: TraceOptions

    @classmethod
    def parse(cls, text: str) -> "TraceFile":
        """Read ``FILE`` or ``FILE?meter=…&voltage=…&within=…``.

        The file need not be there yet. Raises UnknownName, SchemaError, Unsupported,
        and NotCalibrated for a meter of which no data sheet is known.
        """
        path, _, query = text.rpartition("?")
        if not path or Path(text).is_file():
            path, query = text, ""
        options = TraceOptions.parse(query, path)
        if options.meter:
            datasheet_of(options.meter)
        return cls(path=Path(path), options=options)

    def read(self) -> bytes:
        """Read the file. Raises SchemaError where it is missing, empty or huge."""
        where = str(self.path)
        try:
            size = self.path.stat().st_size
            if size > MOST_BYTES:
                raise SchemaError(
                    f"The file has {size / (1 << 30):.1f} GiB, and more than 1 GiB is "
                    "not read",
                    where=where,
                    remedy="Export the time of the run only, or at a lower rate.",
                )
            data = self.path.read_bytes()
        except OSError as error:
            raise SchemaError(
                f"The recording cannot be read: {error.strerror}",
                where=where,
                remedy="Save the recorder's export there.",
            ) from error
        if not data.strip():
            raise SchemaError(
                "The file is empty", where=where, remedy="Export the recording anew."
            )
        return data


def decode(data: bytes, options: TraceOptions, where: str) -> ImportedTrace:
    """Decode a recording, told by its content.

    Raises SchemaError naming the place that cannot be read, Unsupported for what is
    known but not to be used like this.
    """
    if data.startswith(RAW_FORMAT.encode()):
        raise Unsupported(
            "These are the raw bytes of a meter's wire, not its readings",
            where=where,
            remedy=f"Make readings of them first: duanping meters capture "
            f"DRIVER@replay:{where} --out trace.parquet",
        )
    if options.by_stamps and not data.startswith((PARQUET_MAGIC, CSV_BEGINS)):
        raise Unsupported(
            "Only files of duanping meters capture bear this machine's stamps",
            where=where,
            remedy="Leave by=host-stamps out: marks of load place the recording.",
        )
    if data.startswith(JLS_MAGIC):
        return decode_jls(data, options, where)
    if data.startswith(PARQUET_MAGIC):
        return decode_parquet(data, options, where)
    if data.startswith(CSV_BEGINS):
        return decode_csv(data, options, where)
    if is_energy_trace(data):
        return decode_energy(data, options, where)
    return decode_table(data, options, where)
