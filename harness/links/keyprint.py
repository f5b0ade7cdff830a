"""The fingerprint of an SSH public key (RFC 4253, 6.6; shown as OpenSSH does)."""

import base64
import binascii
import hashlib

from harness.errors import UsageError


def fingerprint_of(host_key: str) -> str:
    """Give ``SHA256:…`` of a key in one line, or of what already is a fingerprint.

    Raises UsageError for what is neither.
    """
    text = host_key.strip()
    if text.startswith("SHA256:"):
        return text
    words = text.split()
    try:
        data = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise UsageError(
            f"'{text[:40]}' is no host key",
            remedy='Write host_key = "ssh-ed25519 AAAA…" or "SHA256:…".',
        ) from error
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return "SHA256:" + digest.rstrip("=")
