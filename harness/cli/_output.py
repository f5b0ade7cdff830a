"""Where results go: stdout, as wide as the terminal, or wide enough for tables."""

from rich.console import Console

_PLAIN_WIDTH = 120
"""Columns when output is not a terminal; rich would assume 80 and fold words."""


def console() -> Console:
    """Make the console that results are printed on."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)
