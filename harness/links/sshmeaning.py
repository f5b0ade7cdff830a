"""What asyncssh's and the system's exceptions mean, and the guard of host keys."""

import errno
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager

import asyncssh

from harness.errors import LinkClosed, LinkError, LinkTimeout, TargetError, UsageError


class Guard(asyncssh.SSHClient):
    """Holds the key that the board offers against the one that is pinned."""

    def __init__(self, pinned: Sequence[str]) -> None:
        self.pinned = tuple(pinned)
        self.offered = ""

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - the signature is asyncssh's
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        """Say whether it is the pinned one."""
        self.offered = key.get_fingerprint()
        return self.offered in self.pinned


@contextmanager
def disk_meaning(where: str, to: str) -> Iterator[None]:
    """Say what it means when the board does not write a file."""
    try:
        yield
    except asyncssh.SFTPError as error:
        raise TargetError(
            f"The board cannot write {to}: {error.reason or 'no reason given'}",
            where=where,
            remedy="Its disk may be full (df) or the folder not ours (ls -ld).",
        ) from error


@contextmanager
def meaning(where: str, guard: Guard | None = None) -> Iterator[None]:
    """Give the library's and the system's exceptions one meaning each."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise _not_the_board(where, guard) from error
    except asyncssh.PermissionDenied as error:
        raise LinkError(
            "The board does not let us in",
            where=where,
            remedy="Put your public key into ~/.ssh/authorized_keys of that user on "
            'the board, or name another key: client_key = "…" in lab.toml.',
        ) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise UsageError(
            f"The key to log in with cannot be read: {error}",
            where=where,
            remedy="Load it into your ssh agent, or name a key without a passphrase.",
        ) from error
    except asyncssh.SFTPError:
        raise
    except (FutureTimeout, TimeoutError, asyncssh.TimeoutError) as error:
        raise LinkTimeout(
            "The board does not answer",
            where=where,
            remedy="Is it on, is the cable in, is the address right?",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise _named(error, where) from error


def _not_the_board(where: str, guard: Guard | None) -> LinkError:
    offered = guard.offered if guard else ""
    pinned = " or ".join(guard.pinned) if guard else "another"
    return LinkError(
        f"The board offers the host key {offered or 'of another kind'}, "
        f"and {pinned} is pinned",
        where=where,
        remedy="Either this is another machine, or its key was made anew. Compare "
        "with ssh-keygen -lf on its own console, then pin the new one: "
        "duanping devices --pin ADDRESS",
    )


def _named(error: Exception, where: str) -> LinkError:
    number = getattr(error, "errno", None)
    if number in {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return LinkError(
            "Nobody answers on that port of the board",
            where=where,
            remedy="Is the board on, does sshd run there, is the address right?",
        )
    if isinstance(error, asyncssh.ProtocolError | asyncssh.ConnectionLost) or number:
        return LinkClosed(
            f"The link to the board was lost: {error}",
            where=where,
            remedy="Look at board, cable and network, then run again with --resume.",
        )
    return LinkClosed(
        f"The link to the board was lost: {error}",
        where=where,
        remedy="Look at board, cable and network, then run again with --resume.",
    )
