"""The command ``duanping VERB …``: one file a verb, loaded only when it is called.

Results go to stdout (``--json`` gives the same facts as data), progress and
warnings to stderr. Exit codes are `harness.errors.ExitCode`.
"""

import sys
from importlib import import_module

import typer

from harness import __version__
from harness.cli._frame import guarded
from harness.errors import UnknownName

VERBS = {
    "run": "Measure a device, or a model of one: bundle, grade and report.",
    "plan": "Show what run would do, and how long it takes; touches nothing.",
    "predict": "Predict a model on devices that are not here, from its graph.",
    "calibrate-profile": "Fit a device profile to measurements of one's own board.",
    "profile": "Check how well a profile predicts; what it covers.",
    "devices": "List device profiles and this desk's targets; probe, pin, power-cycle.",
    "sync-models": "Send the models of a run to its board ahead of time.",
    "shell": "Log in to a board of lab.toml, its key pinned.",
    "meters": "List ports and drivers of meters; probe, watch, capture.",
    "calibrate": "Calibrate a meter against another one, or against a resistor.",
    "models": "List the reference models; build them; look at one.",
    "inspect": "Take a model file apart: inputs, operators, cost, who would take it.",
    "quantise": "Quantise a model, and say what that did to it.",
    "doctor": "Look at this machine: what would disturb a measurement?",
    "power": "Add a power trace that was recorded elsewhere to a finished run.",
    "grade": "Grade a bundle again, from its evidence.",
    "report": "Write a bundle's report and tables again.",
    "verify": "Check a bundle: digests, chain, plausibility.",
}
"""The verbs in the order in which they are used, each with its line of help."""

_HELP = """端评 duanping: how fast and how frugally does a device run AI on the device?

Usage: duanping VERB [OPTIONS]

Start with no hardware:  duanping run --device wearable

Verbs:
{verbs}

Each verb explains itself: duanping VERB --help"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(guarded(lambda: _dispatch(sys.argv[1:])))


def _dispatch(arguments: list[str]) -> object:
    verb, *rest = arguments or ["--help"]
    if verb in {"-h", "--help"}:
        print(_help())
        return None
    if verb == "--version":
        print(f"duanping {__version__}")
        return None
    if verb not in VERBS:
        raise UnknownName("verb", verb, VERBS)
    module = verb.replace("-", "_")
    command = typer.main.get_command(import_module(f"harness.cli.{module}").app)
    name = f"duanping {verb}"
    return command.main(args=rest, prog_name=name, standalone_mode=False)


def _help() -> str:
    width = max(map(len, VERBS))
    lines = (f"  {verb:{width}}  {text}" for verb, text in VERBS.items())
    return _HELP.format(verbs="\n".join(lines))
