"""A network's state as tensors and JSON: no code is written (`benchmark.training.plain_reader`).

`Writer` walks through a network; a `Reader` walks through another one of the same class in the same
order. What holds the network's own parts (a list of its layers, a view of a weight) is written as a
reference to them, and what two attributes share is one object again afterwards.
"""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

_MACHINERY = frozenset(vars(nn.Module())) - {"training"}
"""Attributes of every module that PyTorch looks after itself."""

_PLAIN = (type(None), bool, int, float, str)
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}
TABLES = {"dict": dict, "ordered": OrderedDict, "default": defaultdict}
LEGACY = np.random.RandomState


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
        for name, tensor in own_tensors(model):
            key = f"{prefix}model/{name}"
            self._note(self._own, id(tensor), key)
            if tensor.numel() and tensor.layout == torch.strided:
                self._note(self._memory, tensor.untyped_storage().data_ptr(), key)

    def network(self, model: nn.Module, prefix: str) -> dict:
        """Write a network's tensors, and return its other attributes by ``path/name``."""
        for name, tensor in own_tensors(model):
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
        if type(value) in SEQUENCES.values():
            kind = next(name for name, of in SEQUENCES.items() if of is type(value))
            items = sorted(value, key=repr) if kind.endswith("set") else value
            written = [self.value(item, f"{key}/{i}") for i, item in enumerate(items)]
            return [kind, written, getattr(value, "maxlen", None)]
        if type(value) in TABLES.values():
            kind = next(name for name, of in TABLES.items() if of is type(value))
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
        if isinstance(value, np.random.Generator | LEGACY):
            bits = value._bit_generator if isinstance(value, LEGACY) else value.bit_generator
            gauss = value.get_state(legacy=False) if isinstance(value, LEGACY) else {}
            state = self.value(_listed({**bits.state, **gauss}), key)
            return ["numpy generator", type(bits).__name__, state]
        if type(value) is random.Random:
            return ["python generator", self.value(value.getstate(), key)]
        raise NotPlain


def own_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A network's parameters and buffers by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


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
