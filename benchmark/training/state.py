"""All that decides how a training goes on, as tensors and plain values: nothing that is code.

Weights and buffers are not all of it. A network may keep more between two steps in attributes (the
pairs that an adversary sees, whether an encoder is frozen); those that are numbers, text, tensors,
arrays, random generators, or lists and dicts of these are kept as well, whatever their names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

_MACHINERY = frozenset(vars(nn.Module())) - {"training"}
"""Attributes of every module that PyTorch looks after itself."""


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


class _NotPlain(Exception):
    """A value that cannot be kept without code."""


def own_copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU that shares memory with nothing."""
    return tensor.detach().to("cpu", copy=True).contiguous()


# ---- networks


def keep_model(model: nn.Module, tensors: dict[str, Tensor]) -> dict:
    """Put a network's tensors into ``tensors`` and return the rest of its state."""
    for name, tensor in _own_tensors(model):
        tensors[f"model/{name}"] = own_copy(tensor)
    attributes = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in _MACHINERY:
                continue
            found: dict[str, Tensor] = {}
            key = f"attribute/{path}/{name}"
            try:
                attributes[f"{path}/{name}"] = _encode(value, key, found)
            except _NotPlain:
                continue
            tensors.update(found)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    return {"attributes": attributes, "frozen": frozen}


def restore_model(model: nn.Module, tensors: dict[str, Tensor], values: dict) -> None:
    """Give a network the state that `keep_model` kept.

    Raises
    ------
    ValueError
        If it is another network's.
    """
    parameters = dict(model.named_parameters())
    modules = dict(model.named_modules())
    kept = {key.removeprefix("model/"): t for key, t in tensors.items() if key[:6] == "model/"}
    for name, parameter in parameters.items():
        if name not in kept or kept[name].shape != parameter.shape:
            raise ValueError(f"it has no weights for {name}")
    with torch.no_grad():
        for name, tensor in kept.items():
            if name in parameters:
                # copied, which leaves the layout in memory as the network chose it
                parameters[name].copy_(tensor)
                continue
            path, _, last = name.rpartition(".")
            if path not in modules or last not in modules[path]._buffers:
                raise ValueError(f"the network has no {name}")
            own = modules[path]._buffers[last]
            if own is not None and own.shape == tensor.shape and own.dtype == tensor.dtype:
                own.copy_(tensor)
            else:
                device = next(iter(parameters.values())).device if parameters else "cpu"
                modules[path]._buffers[last] = tensor.to(device, copy=True)
    frozen = set(values["frozen"])
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in frozen)
    for key, kind in values["attributes"].items():
        path, _, name = key.rpartition("/")
        module = modules[path]
        object.__setattr__(module, name, _decode(kind, tensors, vars(module).get(name)))


def _own_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


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


# ---- attributes


def _encode(value: object, key: str, tensors: dict[str, Tensor]) -> list:
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    if isinstance(value, nn.Parameter):
        raise _NotPlain
    if isinstance(value, Tensor):
        tensors[key] = own_copy(value)
        return ["tensor", key, value.device.type]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        tensors[key] = own_copy(torch.from_numpy(np.ascontiguousarray(value)))
        return ["array", key, value.dtype.str]
    if isinstance(value, torch.Generator):
        tensors[key] = value.get_state()
        return ["torch generator", key]
    if isinstance(value, np.random.Generator) and _is_pcg(value):
        return ["numpy generator", value.bit_generator.state]
    if type(value) in (list, tuple):
        items = [_encode(item, f"{key}/{i}", tensors) for i, item in enumerate(value)]
        return [type(value).__name__, items]
    if type(value) is dict and all(isinstance(name, str) for name in value):
        return ["dict", {n: _encode(item, f"{key}/{n}", tensors) for n, item in value.items()}]
    raise _NotPlain


def _decode(kind: list, tensors: dict[str, Tensor], present: object) -> object:
    match kind:
        case ["plain", value]:
            return value
        case ["tensor", key, device]:
            return tensors[key].to(device, copy=True)
        case ["array", key, dtype]:
            return tensors[key].numpy().astype(np.dtype(dtype), copy=True)
        case ["torch generator", key]:
            present.set_state(tensors[key])
            return present
        case ["numpy generator", state]:
            present.bit_generator.state = state
            return present
        case ["list" | "tuple" as name, items]:
            before = present if isinstance(present, list | tuple) else ()
            before = [*before, *[None] * max(0, len(items) - len(before))]
            values = [_decode(item, tensors, before[i]) for i, item in enumerate(items)]
            return values if name == "list" else tuple(values)
        case ["dict", items]:
            before = present if isinstance(present, dict) else {}
            return {n: _decode(item, tensors, before.get(n)) for n, item in items.items()}
    raise ValueError(f"an attribute of unknown kind {kind[:1]}")


def _is_pcg(generator: np.random.Generator) -> bool:
    """The generator of ``default_rng``, whose state is plain numbers."""
    return isinstance(generator.bit_generator, np.random.PCG64)
