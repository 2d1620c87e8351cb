"""Whether the kept weights are the network: the trained one, and another instance that has them.

Where a network keeps state outside its parameters and persistent buffers, or draws something when
it is built, another instance with its weights answers otherwise than the one that was judged. So
the answers of the trained network to a scan are compared with those of a new instance that has the
weights from the file; and the file holds answers to a made-up scan, which whoever loads it
compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.training import state
from benchmark.training.determinism import seed_all
from benchmark.training.kept import ANSWERS, OUTPUTS, REMEDY, NotTheNetwork, load_into
from benchmark.training.recipe import autocast
from benchmark.training.settings import Settings


@contextmanager
def _drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Within, the global generators begin at a seed; afterwards they are as they were."""
    tensors: dict[str, Tensor] = {}
    values = state.keep_random(tensors, device)
    seed_all(seed)
    try:
        yield
    finally:
        state.restore_random(tensors, values, device)


def answer(
    model: nn.Module, image: Tensor, settings: Settings, device: torch.device, seed: int = 0
) -> dict[str, Tensor]:
    """Logits and scores of a network in evaluation mode, as predictions are made.

    Parameters
    ----------
    model : nn.Module
        On ``device``.
    image : Tensor, (B, C, Z, Y, X)
    settings : Settings
    device : torch.device
    seed : int
        Of what the network draws.
    """
    model.eval()
    with torch.no_grad(), autocast(settings, device), _drawing_from(seed, device):
        output = model(image.to(device))
    return {name: output[name].float().cpu() for name in OUTPUTS if name in output}


def difference(
    first: dict[str, Tensor], second: dict[str, Tensor], exact: bool = True
) -> tuple[float, str]:
    """Largest difference between two answers, relative to a tenth and the value; and of what.

    Parameters
    ----------
    first, second : dict of Tensor
    exact : bool
        False: relative to the largest value, where sums may be in another order.
    """
    worst, where = 0.0, ""
    for name, value in first.items():
        if name not in second or second[name].shape != value.shape:
            return math.inf, name
        same = (value == second[name]) | (value.isnan() & second[name].isnan())
        size = value.abs().nan_to_num(0, 0)
        if not exact and size.numel():
            size = size.max()
        apart = ((value - second[name]).abs() / (0.1 + size)).masked_fill(same, 0)
        largest = float(apart.nan_to_num(math.inf, math.inf).max()) if apart.numel() else 0.0
        if largest > worst:
            worst, where = largest, name
    return worst, where


def tolerance(settings: Settings, device: torch.device) -> float:
    """Difference that sums in another order or shorter numbers may make."""
    if settings.precision != "float32":
        return 3e-2
    return 1e-4 if device.type == "cpu" else 2e-3


def made_up_scan(grid: tuple[int, int, int], channels: int) -> Tensor:
    """A scan, (1, C, Z, Y, X), that is the same everywhere: waves, with bright cells."""
    places = torch.arange(channels * math.prod(grid), dtype=torch.float64)
    image = 0.5 * torch.sin(places * 0.7) * torch.cos(places * 0.013) - 0.5
    bright = (places * 0.6180339887498949) % 1 < 0.05
    image[bright] += 1.5
    return image.reshape(1, channels, *grid).float()


def short(answers: dict[str, Tensor]) -> dict[str, list[float | None]]:
    """Some values of each output, evenly spaced, as JSON holds them."""
    found = {}
    for name, value in answers.items():
        flat = value.flatten().double()
        step = torch.linspace(0, len(flat) - 1, min(ANSWERS, len(flat))).long()
        found[name] = [v if math.isfinite(v) else None for v in flat[step].tolist()]
    return found


def _long(values: dict) -> dict[str, Tensor]:
    return {
        name: torch.tensor([math.nan if v is None else v for v in values[name]], dtype=torch.double)
        for name in OUTPUTS
        if name in values
    }


def answers_otherwise(
    model: nn.Module, weights: dict, scan: Tensor, settings: Settings, device: torch.device
) -> float:
    """How far a loaded network is from the answers in its file, beyond the tolerance; 0 if not.

    Parameters
    ----------
    model : nn.Module
        With the weights, on ``device``.
    weights : Weights
        Without answers, as in older files and of networks that answer by chance, it is 0.
    scan : Tensor
        See `made_up_scan`.
    settings : Settings
    device : torch.device
    """
    expected = getattr(weights, "answers", {})
    if not expected:
        return 0.0
    found = _long(short(answer(model, scan, settings, device)))
    apart, _ = difference(_long(expected), found, exact=False)
    limit = tolerance(settings, device)
    if expected.get("device") != device.type:
        limit = max(10 * limit, 2e-2)
    return apart if apart > limit else 0.0


# ---- after a training


@dataclass
class Witness:
    """What a trained network answered, to be asked of another instance with its weights.

    Attributes
    ----------
    rebuild : callable
        Gives a new instance, as whoever loads the weights builds it.
    images : tuple of Tensor
        Scans, each (1, C, Z, Y, X), that were asked about.
    settings : Settings
    device : torch.device
    answers : tuple of dict
        To each scan.
    own : float
        How far the network itself is from them, asked again later.
    chance : bool
        Whether it answers otherwise from another seed.
    fresh : callable
        A context within which nothing is left of the training but the weights.
    """

    rebuild: Callable[[], nn.Module]
    images: tuple[Tensor, ...]
    settings: Settings
    device: torch.device
    answers: tuple[dict[str, Tensor], ...] = ()
    own: float = 0.0
    chance: bool = False
    fresh: Callable[[], AbstractContextManager] = nullcontext

    def hear(self, model: nn.Module) -> None:
        """Ask a network that will now be judged.

        A scan but the first that it cannot answer is asked about no more.
        """
        heard, images = [], []
        for image in self.images:
            try:
                heard.append(answer(model, image, self.settings, self.device))
                images.append(image)
            except Exception:
                if not heard:
                    raise
        self.answers, self.images = tuple(heard), tuple(images)
        self.chance = self._apart(self._ask(model, seed=1))[0] > self.limit

    def hear_again(self, model: nn.Module) -> None:
        """Ask it after it was judged: its answers should be the same."""
        self.own = self._apart(self._ask(model))[0]

    def remarks(self) -> list[str]:
        """What a reader of the board should know of answers that vary."""
        if self.own > self.limit:
            return [
                "asked twice about one scan it answers otherwise, even from the same seed: its "
                "predictions depend on what it saw before, and `benchmark predict` gives others"
            ]
        if self.chance:
            return ["it draws random numbers when it predicts: `benchmark predict` gives others"]
        return []

    def for_file(self) -> dict:
        """The answers to the last scan, for the weights' file; empty if they are by chance."""
        if self.chance or self.own > self.limit or len(self.images) < 2:
            return {}
        return short(self.answers[-1]) | {"device": self.device.type}

    @property
    def limit(self) -> float:
        """See `tolerance`."""
        return tolerance(self.settings, self.device)

    def verify(self, weights: dict) -> None:
        """Compare with a new instance that has these weights.

        Raises
        ------
        NotTheNetwork
            If it answers otherwise, and by more than the network's own answers vary.
        """
        with self.fresh():
            try:
                with _drawing_from(77, self.device):
                    other = self.rebuild().to(self.device)
                load_into(other, weights)
                apart, name = self._apart(self._ask(other))
            except NotTheNetwork as error:
                raise NotTheNetwork(f"in a new instance {error}; {REMEDY}") from error
            except Exception as error:
                words = " ".join(str(error).split())[:200]
                raise NotTheNetwork(
                    f"a new instance that has its kept weights fails "
                    f"({type(error).__name__}: {words}); {REMEDY}"
                ) from error
        if apart <= max(self.limit, 10 * self.own):
            return
        amount = "is of another shape" if math.isinf(apart) else f"differs by up to {apart:.2g}"
        raise NotTheNetwork(
            f"its kept weights are not the whole network: in a new instance that has them {name!r} "
            f"of a scan {amount} (tolerance {self.limit:g}); {REMEDY}"
        )

    def _ask(self, model: nn.Module, seed: int = 0) -> list[dict[str, Tensor]]:
        return [answer(model, image, self.settings, self.device, seed) for image in self.images]

    def _apart(self, others: list[dict[str, Tensor]]) -> tuple[float, str]:
        exact = self.device.type == "cpu" and self.settings.precision == "float32"
        found = [difference(*pair, exact) for pair in zip(self.answers, others, strict=True)]
        return max(found, key=lambda pair: pair[0])
