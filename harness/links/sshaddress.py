"""Where a board listens, as people write it."""

from dataclasses import dataclass

from harness.errors import UsageError

PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAddress:
    """Where a board listens and as whom one logs in."""

    host: str
    user: str = ""
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> "SshAddress":
        """Read ``[user@]host[:port]``; an IPv6 address stands in brackets.

        Raises UsageError.
        """
        user, _, place = text.rpartition("@")
        if place.startswith("["):
            host, _, rest = place[1:].partition("]")
            port = rest.removeprefix(":")
        else:
            host, _, port = place.partition(":")
        if not host or (port and not port.isdigit()):
            raise UsageError(
                f"'{text}' is no address of a board",
                remedy="Write linux@ssh:user@host or linux@ssh:user@host:port.",
            )
        return cls(host=host, user=user, port=int(port) if port else PORT)

    def __str__(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{user}{name}" + ("" if self.port == PORT else f":{self.port}")
