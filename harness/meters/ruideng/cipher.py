"""AES-256-ECB for the TC66C, from an optional package.

The key is the same in every instrument and is public (sigrok wiki, RDTech TC66C): it
hides nothing, and nothing rests on it being hidden.
"""

from collections.abc import Callable
from importlib.util import find_spec

from harness.errors import Unsupported

_KEY = bytes.fromhex(
    "5821fa56 01b2f026 87ff1204 622a4fb0 86f40260 816f9a0b a7f10661 9ab87288"
)


def tc66c_decipher(*, where: str) -> Callable[[bytes], bytes]:
    """Give the function that undoes the TC66C's encryption of whole blocks.

    Raises Unsupported where the package ``cryptography`` is not installed.
    """
    if find_spec("cryptography") is None:
        raise Unsupported(
            "A TC66C encrypts its readings, and no AES is installed",
            where=where,
            remedy="Install it: pip install 'duanping[tc66c]'",
        )
    # optional: nobody else needs it
    from cryptography.hazmat.primitives.ciphers import (  # noqa: PLC0415
        Cipher,
        algorithms,
        modes,
    )

    # the instrument's own choice; it carries no secret
    cipher = Cipher(algorithms.AES(_KEY), modes.ECB())  # noqa: S305

    def decipher(data: bytes) -> bytes:
        undo = cipher.decryptor()
        return undo.update(data) + undo.finalize()

    return decipher
