"""The file that ``benchmark new-method`` writes: a whole network, small enough to be read."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from benchmark.errors import UserError

TEMPLATE = '''"""{name}: say here what it is, and where it was published."""

import torch.nn.functional as F
from torch import nn


class {kind}(nn.Module):
    """A network that labels lesions and estimates scores.

    The harness gives it the scans on the training grid, and trains it with the suite's losses:
    cross entropy and Dice on the cells above 130 HU, and the error of the log scores. Define
    ``losses(output, batch)`` for losses of your own; benchmark/contract.py says what else there is.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid; they differ between cohorts.
    in_channels : int
        3: mean HU of the cell, maximum HU, share of the cell above 130 HU.
    width : int
        Channels of the first layers, the same for all networks of a run.
    depth : int
        An option of your own: --methods '{file}:{kind}+depth=3'. Needs a default.
    """

    outputs = ("mask", "head")  # "mask": class logits; "head": scores; or only one of them
    tunable = {{"depth": [2, 3]}}  # what --tune may try beside the learning rate
    notes = ("{name}: convolutions at full resolution, a score head slice by slice",)

    def __init__(self, grid, in_channels, width, depth=2):
        super().__init__()
        layers = []
        for level in range(depth):
            channels = in_channels if level == 0 else width
            layers += [nn.Conv3d(channels, width, 3, padding=1), nn.BatchNorm3d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.mask = nn.Conv3d(width, 4, 1)
        self.head = nn.Linear(width, 12)

    def forward(self, image):  # (B, C, Z, Y, X)
        features = self.body(image)
        logits = self.mask(features)  # (B, 4, Z, Y, X): background, LAD, LCX, RCA
        # The brightest cell of each slice tells what the slice adds to the scores.
        slices = features.amax(dim=(3, 4)).transpose(1, 2)  # (B, Z, width)
        slice_scores = F.softplus(self.head(slices))  # (B, Z, 12): ln(1 + what it adds)
        scores = slice_scores.expm1().sum(dim=1).log1p()  # (B, 12): ln(1 + score)
        return {{"logits": logits, "scores": scores, "slice_scores": slice_scores}}
'''


def class_name(name: str) -> str:
    """``my-net`` as a class: ``MyNet``.

    Raises
    ------
    UserError
        If no class can have that name.
    """
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    kind = "".join(word[0].upper() + word[1:] for word in words)
    if not kind.isidentifier() or keyword.iskeyword(kind) or not name.isascii():
        raise UserError(f"{name!r} cannot be a class's name; begin with a letter, as my-net")
    return kind


def write_method(name: str, out: Path | None = None) -> Path:
    """Write the file of a new network.

    Parameters
    ----------
    name : str
        Its name, ``my-net``.
    out : Path, optional
        By default ``my_net.py`` in the present folder.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    UserError
        If the name will not do, the file is there already, or its folder is not.
    """
    kind = class_name(name)
    path = out or Path(re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() + ".py")
    if path.suffix != ".py":
        raise UserError(f"{path}: the file's name must end in .py")
    text = TEMPLATE.format(name=name, kind=kind, file=path)
    try:
        # "x": never over a file that is there
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path}: is there already and was left as it is; see --out") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return path
