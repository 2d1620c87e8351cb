"""A training's own checkpoint on the disk: where it stands between two steps.

The folder holds one safetensors file, whose header carries the plain values as JSON, and a manifest
with its size and SHA-256. A new file is written beside the old one; the manifest, replaced whole,
turns from one to the other. To load one runs no code: there is no pickle in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmark.manifest import MANIFEST, fault, sha256, to_disk
from benchmark.training.state import Snapshot
from benchmark.whole import share, write_text

AFTER_TRAINING = 30.0
"""A training that took at least this long since its last checkpoint is kept before prediction."""


class Resume:
    """The checkpoint of one cell.

    Parameters
    ----------
    folder : Path
        Its folder, made when the first checkpoint is written.
    every_seconds : float
        Between two checkpoints.
    say : callable, optional
        Told in one line what a person should know.
    """

    def __init__(
        self, folder: Path, every_seconds: float = 300.0, say: Callable[[str], None] | None = None
    ) -> None:
        self.folder, self.every_seconds = folder, every_seconds
        self.say = say or (lambda line: None)
        self.failed = False
        self._last = time.monotonic()

    def load(self) -> Snapshot | None:
        """The checkpoint; None if there is none. A damaged one is discarded with a line."""
        from safetensors import SafetensorError, safe_open

        if not self.folder.is_dir():
            return None
        try:
            # what a killed process was about to write has no place in the manifest
            names = list(json.loads((self.folder / MANIFEST).read_text("utf-8"))["files"])
            wrong = fault(self.folder, names)
            if wrong or len(names) != 1:
                raise ValueError(wrong or f"{MANIFEST} names {len(names)} files")
            with safe_open(self.folder / names[0], "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
                values = json.loads(file.metadata()["state"])
            return Snapshot(tensors, values)
        except PermissionError as error:
            self._give_up(error)
        except FileNotFoundError:
            self.discard("it was not written to its end")
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            self.discard(str(error) or type(error).__name__)
        return None

    def discard(self, why: str) -> None:
        """Say that the checkpoint cannot be used, and remove it."""
        self.say(f"its checkpoint is damaged ({why}): the training begins anew")
        self.delete()

    def _give_up(self, error: PermissionError) -> None:
        """In a folder that a group shares another user may have begun the training."""
        self.failed = True
        self.say(
            f"no checkpoints: no permission for {error.filename or self.folder}, another user's; "
            "a training begins anew"
        )

    def delete(self) -> None:
        """Remove the checkpoint, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def due(self, at_end: bool = False) -> bool:
        """Whether it is time for a checkpoint."""
        since = time.monotonic() - self._last
        limit = min(self.every_seconds, AFTER_TRAINING) if at_end else self.every_seconds
        return not self.failed and since >= limit

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint and remove the one before.

        Raises
        ------
        OSError
            If the disk is full or cannot be written; the checkpoint before is then as it was.
        """
        try:
            self._save(snapshot)
        except PermissionError as error:
            self._give_up(error)

    def _save(self, snapshot: Snapshot) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        before = [path for path in self.folder.iterdir() if path.suffix == ".safetensors"]
        numbers = [int(path.stem) for path in before if path.stem.isdigit()]
        path = self.folder / f"{max(numbers, default=0) + 1}.safetensors"
        try:
            save_file(snapshot.tensors, str(path), {"state": json.dumps(snapshot.values)})
            share(path)
        except (SafetensorError, TypeError, ValueError) as error:
            path.unlink(missing_ok=True)
            # the library tells a full disk in words alone
            number = re.search(r"os error (\d+)", str(error))
            if number is not None:
                code = int(number[1])
                raise OSError(code, os.strerror(code), str(path)) from None
            self.failed = True
            self.say(f"no checkpoints: its state cannot be written ({error})")
            return
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        to_disk(path)
        entry = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        write_text(
            self.folder / MANIFEST, json.dumps({"files": {path.name: entry}}, indent=1) + "\n"
        )
        to_disk(self.folder)
        for old in before:
            old.unlink(missing_ok=True)
        self._last = time.monotonic()
