"""A network's state as tensors and JSON, and back: no code is written, and none is run.

`Writer` walks through a network; `Reader` walks through another one of the same class in the same
order. What holds the network's own parts (a list of its layers, a view of a weight) is written as a
reference to them, and what two attributes share is one object again afterwards.
"""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict, deque

import numpy as np
import torch
from torch import Tensor, nn

_MACHINERY = frozenset(vars(nn.Module())) - {"training"}
"""Attributes of every module that PyTorch looks after itself."""

_PLAIN = (type(None), bool, int, float, str)
_SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}
_TABLES = {"dict": dict, "ordered": OrderedDict, "default": defaultdict}
_LEGACY = np.random.RandomState


class NotPlain(Exception):
    """A value that cannot be kept without code."""


def own_copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU that shares memory with nothing."""
    return tensor.detach().to("cpu", copy=True).contiguous()


class Writer:
    """Writes values.

    Parameters
    ----------
    model : nn.Module, optional
        Network whose own parts are referred to and not written again.

    Attributes
    ----------
    tensors : dict of Tensor
        What was written of tensors, not yet copied.
    left_out : list of (str, object)
        Attributes that could not be written.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.left_out: list[tuple[str, object]] = []
        self._seen: dict[int, str] = {}
        self._alive: list = []  # an object that is gone could lend its id to another
        self._own: dict[int, str] = {}
        self._memory: dict[int, str] = {}
        self._notes: list[tuple[dict, object]] = []
        if model is not None:
            self._know(model, "")

    def copies(self) -> dict[str, Tensor]:
        """The tensors, each a copy on the CPU."""
        return {key: own_copy(tensor) for key, tensor in self.tensors.items()}

    def _note(self, table: dict, name: object, value: object) -> None:
        """Put something into one of the tables, to be taken out again if an attribute fails."""
        if name not in table:
            table[name] = value
            self._notes.append((table, name))

    def _know(self, model: nn.Module, prefix: str) -> None:
        for path, module in model.named_modules():
            self._note(self._own, id(module), f"{prefix}module/{path}")
        for name, tensor in _own_tensors(model):
            key = f"{prefix}model/{name}"
            self._note(self._own, id(tensor), key)
            if tensor.numel() and tensor.layout == torch.strided:
                self._note(self._memory, tensor.untyped_storage().data_ptr(), key)

    def network(self, model: nn.Module, prefix: str) -> dict:
        """Write a network's tensors, and return its other attributes by ``path/name``."""
        for name, tensor in _own_tensors(model):
            self._note(self.tensors, f"{prefix}model/{name}", tensor)
        attributes = {}
        for path, module in model.named_modules():
            for name, value in vars(module).items():
                if name in _MACHINERY:
                    continue
                before = len(self._notes)
                try:
                    key = f"{prefix}attribute/{path}/{name}"
                    attributes[f"{path}/{name}"] = self.value(value, key)
                except (NotPlain, RecursionError):
                    while len(self._notes) > before:
                        table, entry = self._notes.pop()
                        del table[entry]
                    place = f"{path}." if path else ""
                    self.left_out.append((f"{type(model).__name__}.{place}{name}", value))
        return attributes

    def value(self, value: object, key: str) -> list:
        """Write one value.

        Raises
        ------
        NotPlain
            If it is of no kind that can be written.
        """
        if type(value) in _PLAIN:
            return ["plain", value]
        if id(value) in self._own:
            return ["own", self._own[id(value)]]
        if id(value) in self._seen:
            return ["same", self._seen[id(value)]]
        self._note(self._seen, id(value), key)
        self._alive.append(value)
        if isinstance(value, Tensor):
            return self._tensor(value, key)
        if isinstance(value, nn.Module):
            self._know(value, f"{key}/")
            return ["module", self.network(value, f"{key}/")]
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return ["scalar", value.dtype.str, value.item()]
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            try:
                self._note(self.tensors, key, torch.from_numpy(np.array(value, order="C")))
            except TypeError:  # of a kind that torch has not, such as long double
                raise NotPlain from None
            return ["array", key, value.dtype.str]
        if type(value) is complex:
            return ["complex", value.real, value.imag]
        if type(value) is bytes:
            return ["bytes", value.hex()]
        if type(value) in _SEQUENCES.values():
            kind = next(name for name, of in _SEQUENCES.items() if of is type(value))
            items = sorted(value, key=repr) if kind.endswith("set") else value
            written = [self.value(item, f"{key}/{i}") for i, item in enumerate(items)]
            return [kind, written, getattr(value, "maxlen", None)]
        if type(value) in _TABLES.values():
            kind = next(name for name, of in _TABLES.items() if of is type(value))
            pairs = [
                [self.value(k, f"{key}/{i}/key"), self.value(v, f"{key}/{i}")]
                for i, (k, v) in enumerate(value.items())
            ]
            return [kind, pairs]
        return self._generator(value, key)

    def _tensor(self, value: Tensor, key: str) -> list:
        if value.layout != torch.strided:
            raise NotPlain
        owner = None
        if value.numel():
            owner = self._memory.get(value.untyped_storage().data_ptr())
        if owner is not None and not isinstance(value, nn.Parameter):
            place = [list(value.shape), list(value.stride()), value.storage_offset()]
            return ["view", owner, *place, str(value.dtype)]
        self._note(self.tensors, key, value)
        return ["tensor", key, value.device.type]

    def _generator(self, value: object, key: str) -> list:
        if isinstance(value, torch.Generator):
            self._note(self.tensors, key, value.get_state())
            return ["torch generator", key]
        if isinstance(value, np.random.Generator | _LEGACY):
            bits = value._bit_generator if isinstance(value, _LEGACY) else value.bit_generator
            gauss = value.get_state(legacy=False) if isinstance(value, _LEGACY) else {}
            state = self.value(_listed({**bits.state, **gauss}), key)
            return ["numpy generator", type(bits).__name__, state]
        if type(value) is random.Random:
            return ["python generator", self.value(value.getstate(), key)]
        raise NotPlain


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
        for name, tensor in _own_tensors(model):
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
                if isinstance(present, _LEGACY):
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
        kind = _SEQUENCES[name]
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
        kind = _TABLES[name]
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


def _own_tensors(model: nn.Module):
    yield from model.named_parameters()
    yield from model.named_buffers()


def _number(name: str) -> np.dtype:
    """The type of that name, if it is one of numbers: a file could ask for gigabytes of text."""
    found = np.dtype(name)
    if found.kind not in "biuf":
        raise ValueError(f"{name} is no type of numbers")
    return found


def _listed(state: dict) -> dict:
    """A bit generator's state with its arrays as lists of Python's whole numbers."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found[name] = _listed(value)
        elif isinstance(value, np.ndarray):
            found[name] = ["array", value.dtype.str, [int(item) for item in value]]
        else:
            found[name] = value.item() if isinstance(value, np.generic) else value
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
