"""What a desk knows of one of its boards beside the address."""

from dataclasses import dataclass
from enum import StrEnum


class AgentForm(StrEnum):
    """In which form the agent is on a board."""

    ANY = ""
    """In Python where the board has what that needs, else the C runner."""
    PYTHON = "python"
    RUNNER = "runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """How a board is reached and set up. Empty: not given, the default applies."""

    host_key: str = ""
    """The key that the board proves itself by: ``ssh-ed25519 AAAA…`` or
    ``SHA256:…``, its fingerprint."""
    client_key: str = ""
    """Path of the private key to log in with."""
    agent: AgentForm = AgentForm.ANY
    python: str = "python3"
    """Command or path of Python on the board."""
    folder: str = ".cache/duanping"
    """Where agent, models and runs lie on the board; from its home directory."""
    runtime: str = ""
    """Folder on the host with wheels of numpy and onnxruntime for the board."""
    power_cycle: str = ""
    """Command on the host that takes the board's supply away and gives it back."""
    is_detached: bool = False
    """Whether the link is let go while a trial is executed, and opened after it."""
    holder: str = ""
    """Who holds the board, as others are told; user and host where not given."""
