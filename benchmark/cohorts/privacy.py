"""Ids made anew: keyed hashes that nobody can turn back without the key of this machine.

A plain hash of a patient's number is no secret, as all numbers can be tried; a hash with a key is
(HMAC, RFC 2104). The key lies in a file that only its owner may read. Copy the file to another
machine to get the same ids there; delete it to make all ids forever unlinkable. In a cache folder
that a group shares (set-group-ID and open to the group's writing) the group may read it too.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from benchmark.errors import UserError

KEY_FILE = "id.key"
"""Name of the key in the cache folder."""

KEY_BYTES = 32


def load_key(folder: Path) -> bytes:
    """Return the key kept in a folder; the first call makes it.

    Raises
    ------
    UserError
        If the folder cannot be written, or the file is no key.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make_key(folder, path)
        mode = _mode(folder)
        if path.stat().st_mode & 0o777 & ~mode:
            with suppress(PermissionError):  # of another of the group, who will see to it
                path.chmod(mode)
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{path}: the key for new ids cannot be made or read ({error.strerror})"
        ) from error
    if len(key) != KEY_BYTES:
        raise UserError(f"{path}: is no key of {KEY_BYTES} bytes; delete it to have a new one made")
    return key


def new_id(key: bytes, kind: str, *names: str) -> str:
    """Return ``kind-`` and ten hexadecimal digits that stand for the names.

    Forty bits: among a thousand scans two share an id once in two million cohorts; a cohort with
    such a pair is refused where it is opened.
    """
    text = "\0".join((kind, *names)).encode()
    return f"{kind}-{hmac.new(key, text, hashlib.sha256).hexdigest()[:10]}"


def keyed_digest(key: bytes, text: str) -> str:
    """Return 32 hexadecimal digits for a path, so that no path shows in a name."""
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def _mode(folder: Path) -> int:
    shared = stat.S_ISGID | stat.S_IWGRP
    return 0o640 if folder.stat().st_mode & shared == shared else 0o600


def _make_key(folder: Path, path: Path) -> None:
    """Write a new key under a temporary name and link it: two processes get one key."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".part")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        os.chmod(name, _mode(folder))
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink(missing_ok=True)
