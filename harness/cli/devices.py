"""``duanping devices``: profiles, what this desk has, who answers, whose key it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.bench.boards import Answer, probe
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.domain.profile import DeviceProfile
from harness.emulation.predict import rates_of
from harness.errors import ExitCode, UnknownName, UsageError
from harness.links.keyprint import fingerprint_of
from harness.plugins import Address
from harness.schema.codec import to_plain
from harness.schema.lab import Lab, find_lab, load_lab
from harness.schema.profile import load_profile, profile_names, profile_path
from harness.targets.power import power_cycle
from harness.targets.ssh import key_offered, known_hosts_path

app = typer.Typer(add_completion=False)

_ANY_PROFILE = "computer"
"""Whose conditions a board is opened with that is named like no profile."""


@app.command()
def devices(
    *,
    lab: Annotated[
        Path | None, typer.Option(help="lab.toml; found in this folder if there.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--probe", help="Ask each target of lab.toml who it is.")
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="With --probe: this address instead.")
    ] = None,
    pin: Annotated[
        str | None,
        typer.Option(help="Show the host key of the board at this address."),
    ] = None,
    power: Annotated[
        str | None,
        typer.Option("--power-cycle", help="Cycle the power of this board, by name."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> int:
    """List device profiles; a name of this list goes to --device."""
    found = lab or find_lab(Path.cwd())
    desk = load_lab(found) if found else Lab()
    if pin is not None:
        return _show_key(pin)
    if power is not None:
        return _cycle(power, desk)
    if ask or target:
        return _probe(desk, target, as_json=as_json)
    return _list(desk, as_json=as_json)


def _list(desk: Lab, *, as_json: bool) -> int:
    profiles = [load_profile(profile_path(name)) for name in profile_names()]
    targets = desk.targets
    if as_json:
        print_json({"profiles": to_plain(profiles, list), "targets": dict(targets)})
        return ExitCode.OK
    table = Table()
    for column in ("profile", "设备", "device", "suite", "emulation", "90 % within"):
        table.add_column(column)
    for profile in profiles:
        table.add_row(
            profile.name,
            profile.title_zh,
            profile.title_en,
            profile.suite,
            profile.emulation.form if profile.emulation else "none",
            f"×/÷ {rates_of(profile).factor_90:.2f}" if profile.emulation else "",
        )
    out = console()
    out.print(table)
    for name, address in targets.items():
        out.print(f"lab.toml: {name} is at {address}")
    return ExitCode.OK


def _probe(desk: Lab, target: str | None, *, as_json: bool) -> int:
    targets = desk.targets if target is None else {target: target}
    if not targets:
        raise UsageError(
            "No lab file names a target to ask",
            where=str(Path.cwd()),
            remedy="Write one into lab.toml, or: devices --probe --target ADDRESS",
        )
    answers = [
        probe(name, address, _profile_for(name), desk.boards)
        for name, address in targets.items()
    ]
    if as_json:
        print_json({"targets": to_plain(answers, list)})
    else:
        _print(answers)
    return ExitCode.OK if all(a.is_there for a in answers) else ExitCode.EQUIPMENT


def _profile_for(name: str) -> DeviceProfile:
    chosen = name if name in profile_names() else _ANY_PROFILE
    return load_profile(profile_path(chosen))


def _print(answers: list[Answer]) -> None:
    table = Table()
    for column in ("target", "address", "answers", "says"):
        table.add_column(column, overflow="fold")
    for answer in answers:
        keys = ("os", "kernel", "machine", "governor")
        more = [answer.facts[key] for key in keys if key in answer.facts]
        more += _agent_of(answer.facts)
        table.add_row(
            answer.name,
            answer.address,
            "yes" if answer.is_there else "no",
            "; ".join([answer.says, *more]),
        )
    console().print(table)


def _agent_of(facts: Mapping[str, str]) -> list[str]:
    """Say in words what would measure, and with which runtime."""
    runtime = [facts[key] for key in ("runtime", "runtime_version") if key in facts]
    form = facts.get("agent_form")
    return [f"agent: {form}"] * bool(form) + [" ".join(runtime)] * bool(runtime)


def _show_key(text: str) -> int:
    """Show a board's key, which nothing trusts until a person has compared it."""
    address = Address.parse(text)
    key = key_offered(address)
    out = console()
    out.print(f"{text} offers this host key, which is not trusted yet:")
    out.print(f"  {fingerprint_of(key)}")
    out.print("Compare it on the board's own console with:")
    out.print("  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    out.print("If it is the same, write into lab.toml, at the target of that address:")
    out.print(f'  host_key = "{key}"', soft_wrap=True)
    out.print(f"or into {known_hosts_path()} a line: HOST {key}", soft_wrap=True)
    return ExitCode.OK


def _cycle(name: str, desk: Lab) -> int:
    if name not in desk.targets:
        raise UnknownName("target in lab.toml", name, desk.targets)
    board = desk.boards.get(desk.targets[name])
    if board is None or not board.power_cycle:
        raise UsageError(
            f"lab.toml has no power_cycle for '{name}'",
            remedy='Write power_cycle = "uhubctl -a cycle -p 2" or the like there.',
        )
    power_cycle(board.power_cycle)
    console().print(f"The power of {name} was cycled.")
    return ExitCode.OK
