"""``duanping meters``: ports, drivers, who answers where; watch and capture a meter."""

from typing import Annotated

import serial.tools.list_ports
import typer
from rich.table import Table
from serial.tools.list_ports_common import ListPortInfo

from harness import plugins
from harness.cli._frame import print_json
from harness.cli._meter_capture import capture
from harness.cli._meter_watch import watch
from harness.cli._output import console
from harness.clock import SystemClock
from harness.errors import ExitCode, NotCalibrated, UsageError
from harness.meters.datasheet import datasheet_of
from harness.meters.drivers import DRIVERS
from harness.meters.probing import Sighting, probe
from harness.schema.codec import to_plain

app = typer.Typer(add_completion=False)
app.command()(watch)
app.command()(capture)


@app.callback(invoke_without_command=True)
def meters(
    context: typer.Context,
    *,
    port: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="PORT",
            help="Ask this one port who is there, by protocol; changes no setting. "
            "Opening and closing it makes a PPK2 cut the supply of its device.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the facts as JSON.")
    ] = False,
) -> int:
    """List serial ports and drivers of meters, or ask who answers on a port."""
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    if port is not None:
        return _probe(port, as_json=as_json)
    _list(as_json=as_json)
    return ExitCode.OK


def _list(*, as_json: bool) -> None:
    ports = [_port(port) for port in serial.tools.list_ports.comports()]
    drivers = [_driver(name) for name in plugins.names(plugins.METERS)]
    if as_json:
        print_json({"ports": ports, "drivers": drivers})
        return
    out = console()
    if ports:
        out.print(_table(ports))
    else:
        out.print("No serial port was found on this machine.")
    out.print(_table(drivers))
    out.print(
        "Who is on a port:  duanping meters --probe PORT\n"
        "Without a meter:   duanping meters watch ppk2@sim:bursts-5mW-120mW",
    )


def _port(port: ListPortInfo) -> dict[str, str]:
    is_usb = port.vid is not None and port.pid is not None
    return {
        "port": port.device,
        "usb id": f"{port.vid:04x}:{port.pid:04x}" if is_usb else "",
        "serial number": port.serial_number or "",
        "place": port.location or "",
        "description": port.description or "",
    }


def _driver(name: str) -> dict[str, str]:
    try:
        sheet = datasheet_of(name)
    except NotCalibrated:
        title, verified = "", "not known"
    else:
        title = f"{sheet.maker} {sheet.model}".strip()
        verified = "yes" if sheet.is_hardware_verified else "no"
    row = DRIVERS.get(name)
    return {
        "driver": name,
        "meter": row.title if row else title,
        "options": ", ".join(row.options) if row else "",
        "compared with hardware": verified,
    }


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table()
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table


def _probe(port: str, *, as_json: bool) -> int:
    """Show each answer as it comes. Exit code NO_ANSWER where none was known."""
    if "@" in port:
        raise UsageError(
            "A probe wants a port, not a meter: it finds out which meter is there",
            where=f"--probe {port}",
            remedy="Write --probe /dev/ttyACM0, or look at a meter that you know: "
            f"duanping meters watch {port}",
        )
    link = port if ":" in port else f"serial:{port}"
    seen = []
    for sighting in probe(link, SystemClock()):
        seen.append(sighting)
        if not as_json:
            console().print(_sentence(sighting, link), markup=False)
    if as_json:
        print_json({"port": link, "sightings": to_plain(seen, list)})
    is_found = bool(seen) and bool(seen[-1].identity)
    if not is_found and not as_json:
        console().print(f"Nothing known answers on {link}.", markup=False)
    return ExitCode.OK if is_found else ExitCode.NO_ANSWER


def _sentence(sighting: Sighting, link: str) -> str:
    if sighting.identity:
        return f"{link} answers as {sighting.identity}: {sighting.driver}@{link}"
    if sighting.answered_bytes:
        count = sighting.answered_bytes
        return f"{sighting.title}: {count} bytes came, not such an answer"
    return f"{sighting.title}: no answer"
