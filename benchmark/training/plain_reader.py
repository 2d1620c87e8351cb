"""What `benchmark.training.plain` wrote, given to a network again: none of it is run as code."""

from __future__ import annotations

import random
from collections import deque

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.training.plain import LEGACY, SEQUENCES, TABLES, own_tensors


class Reader:
    """Reads what a `Writer` wrote.

    Parameters
    ----------
    tensors : dict of Tensor
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self._made: dict[str, object] = {}
        self._filled: dict[int, object] = {}

    def network(self, model: nn.Module, prefix: str, attributes: dict) -> None:
        """Give a network the state that was written under this prefix.

        Raises
        ------
        ValueError
            If it is another network's.
        """
        parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
        begin = f"{prefix}model/"
        kept = {k.removeprefix(begin): t for k, t in self.tensors.items() if k.startswith(begin)}
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
        self.know(model, prefix)
        for key, kind in attributes.items():
            path, _, name = key.rpartition("/")
            if path not in modules:
                raise ValueError(f"the network has no {path}")
            module = modules[path]
            present = vars(module).get(name)
            value = self.value(kind, f"{prefix}attribute/{key}", present)
            object.__setattr__(module, name, value)

    def know(self, model: nn.Module, prefix: str = "") -> None:
        """Learn the network's own parts, which values refer to."""
        for path, module in model.named_modules():
            self._made[f"{prefix}module/{path}"] = module
        for name, tensor in own_tensors(model):
            self._made[f"{prefix}model/{name}"] = tensor

    def value(self, kind: list, key: str, present: object = None) -> object:
        """Read one value.

        Parameters
        ----------
        kind : list
            What `Writer.value` gave.
        key : str
            The key that it was written under.
        present : object
            What stands in its place: generators, modules and containers are filled and stay the
            same object, which others may hold too.

        Raises
        ------
        ValueError
            If it is of an unknown kind, or does not fit what stands in its place.
        """
        if id(present) in self._filled:
            present = None
        match kind:
            case ["own" | "same", other]:
                if other not in self._made:
                    raise ValueError(f"the network has no {other}")
                return self._made[other]
            case ["view", owner, shape, stride, offset, dtype]:
                whole = self._made[owner].detach()
                value = whole.view(getattr(torch, dtype.removeprefix("torch.")))
                value = value.as_strided(shape, stride, offset)
            case [("list" | "tuple" | "set" | "frozenset" | "deque") as name, items, longest]:
                return self._sequence(name, items, longest, key, present)
            case [("dict" | "ordered" | "default") as name, pairs]:
                return self._table(name, pairs, key, present)
            case _:
                value = self._single(kind, key, present)
        self._made[key] = value
        return value

    def _single(self, kind: list, key: str, present: object) -> object:
        match kind:
            case ["plain", value]:
                return value
            case ["tensor", place, device]:
                tensor = self.tensors[place]
                # an optimiser holds this very tensor
                if isinstance(present, Tensor) and present.requires_grad and present.is_leaf:
                    if present.shape != tensor.shape:
                        raise ValueError(f"{key} has another shape")
                    with torch.no_grad():
                        return present.copy_(tensor)
                return tensor.to(device, copy=True)
            case ["array", place, dtype]:
                return self.tensors[place].numpy().astype(_number(dtype), copy=True)
            case ["scalar", dtype, value]:
                return _number(dtype).type(value)
            case ["complex", real, imaginary]:
                return complex(real, imaginary)
            case ["bytes", text]:
                return bytes.fromhex(text)
            case ["module", attributes]:
                if not isinstance(present, nn.Module):
                    raise ValueError(f"the network has no {key}")
                self.network(present, f"{key}/", attributes)
                return present
            case ["torch generator", place]:
                if not isinstance(present, torch.Generator):
                    raise ValueError(f"{key} is no generator")
                present.set_state(self.tensors[place])
                return present
            case ["numpy generator", name, state]:
                bits = getattr(present, "_bit_generator", getattr(present, "bit_generator", None))
                if type(bits).__name__ != name:
                    raise ValueError(f"{key} is no {name}")
                found = _arrays(self.value(state, key))
                if isinstance(present, LEGACY):
                    present.set_state(found)
                else:
                    bits.state = found
                return present
            case ["python generator", state]:
                generator = present if type(present) is random.Random else random.Random()
                generator.setstate(self.value(state, key))
                return generator
        raise ValueError(f"an attribute of unknown kind {kind[:1]}")

    def _sequence(self, name: str, items: list, longest, key: str, present: object):
        kind = SEQUENCES[name]
        before = list(present) if type(present) is kind and name != "set" else []
        before += [None] * (len(items) - len(before))
        changing = name in ("list", "set", "deque")
        if changing and type(present) is not kind:
            present = deque(maxlen=longest) if name == "deque" else kind()
        if changing:
            # before its items: one of them may be the list itself
            self._made[key] = present
            self._filled[id(present)] = present
        read = [self.value(item, f"{key}/{i}", before[i]) for i, item in enumerate(items)]
        if not changing:
            self._made[key] = kind(read)
            return self._made[key]
        present.clear()
        (present.update if name == "set" else present.extend)(read)
        return present

    def _table(self, name: str, pairs: list, key: str, present: object):
        kind = TABLES[name]
        if type(present) is not kind:
            if name == "default":
                raise ValueError(f"the network has no {key}")
            present = kind()
        before = dict(present)
        self._made[key] = present
        self._filled[id(present)] = present
        read = []
        for i, (written, value) in enumerate(pairs):
            own = self.value(written, f"{key}/{i}/key")
            read.append((own, self.value(value, f"{key}/{i}", before.get(own))))
        present.clear()
        present.update(read)
        return present


def _number(name: str) -> np.dtype:
    """The type of that name, if it is one of numbers: a file could ask for gigabytes of text."""
    found = np.dtype(name)
    if found.kind not in "biuf":
        raise ValueError(f"{name} is no type of numbers")
    return found


def _arrays(state: dict) -> dict:
    """What `_listed` made of a state, undone."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found[name] = _arrays(value)
        elif isinstance(value, list) and value[:1] == ["array"]:
            found[name] = np.array(value[2], dtype=_number(value[1]))
        else:
            found[name] = value
    return found
