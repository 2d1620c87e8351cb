"""All that decides how a training goes on, as tensors and plain values: nothing that is code.

Weights and buffers are not all of it. A network may keep more between two steps in attributes (the
pairs that an adversary sees, whether an encoder is frozen); those that `benchmark.training.plain`
can write are kept as well, whatever their names. What it cannot write, `left_out` names.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.training.plain import Writer, own_copy
from benchmark.training.plain_reader import Reader


@dataclass(frozen=True)
class Snapshot:
    """A training between two steps.

    Attributes
    ----------
    tensors : dict of Tensor
        On the CPU.
    values : dict
        What JSON can hold.
    """

    tensors: dict[str, Tensor]
    values: dict


# ---- networks


def keep_model(model: nn.Module, tensors: dict[str, Tensor]) -> dict:
    """Put a network's tensors into ``tensors`` and return the rest of its state."""
    writer = Writer(model)
    attributes = writer.network(model, "")
    tensors.update(writer.copies())
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    return {"attributes": attributes, "frozen": frozen}


def left_out(model: nn.Module) -> list[tuple[str, object]]:
    """The attributes that `keep_model` cannot keep, by name, as ``"Net.history"``."""
    writer = Writer(model)
    writer.network(model, "")
    return writer.left_out


def restore_model(model: nn.Module, tensors: dict[str, Tensor], values: dict) -> None:
    """Give a network the state that `keep_model` kept.

    Raises
    ------
    ValueError
        If it is another network's.
    """
    Reader(tensors).network(model, "", values["attributes"])
    frozen = set(values["frozen"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def finite(model: nn.Module) -> bool:
    """Whether every weight is a number."""
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


# ---- optimisers


def keep_optimiser(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]
) -> None:
    """Put an optimiser's state into ``tensors``, by the place of each parameter."""
    for place, parameter in enumerate(_parameters(optimiser)):
        for name, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{prefix}/{place}/{name}"] = own_copy(torch.as_tensor(value))


def restore_optimiser(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]
) -> None:
    """Give an optimiser the state that `keep_optimiser` kept."""
    parameters = _parameters(optimiser)
    for key, value in tensors.items():
        if not key.startswith(f"{prefix}/"):
            continue
        _, place, name = key.split("/")
        parameter = parameters[int(place)]
        if value.shape == parameter.shape:
            # fused optimisers walk through memory: weight and moments must lie alike
            moment = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        else:
            moment = value.to(parameter.device, copy=True)
        optimiser.state[parameter][name] = moment.detach()


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"]]


# ---- random numbers


def keep_random(tensors: dict[str, Tensor], device: torch.device) -> dict:
    """The states of the global random generators of torch, NumPy and Python."""
    tensors["random/torch"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    kind, keys, place, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 users' networks
    tensors["random/numpy"] = torch.from_numpy(keys.astype(np.int64))
    version, internal, following = random.getstate()
    tensors["random/python"] = torch.tensor(internal, dtype=torch.int64)
    return {
        "numpy": [kind, int(place), int(has_gauss), float(gauss)],
        "python": [version, following],
    }


def restore_random(tensors: dict[str, Tensor], values: dict, device: torch.device) -> None:
    """Let the global random generators go on from what `keep_random` kept."""
    torch.set_rng_state(tensors["random/torch"])
    if device.type == "cuda" and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"], device)
    kind, place, has_gauss, gauss = values["numpy"]
    keys = tensors["random/numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, place, has_gauss, gauss))  # noqa: NPY002 users' networks
    version, following = values["python"]
    random.setstate((version, tuple(tensors["random/python"].tolist()), following))
