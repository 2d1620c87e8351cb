"""What a training keeps where neither weights nor checkpoints hold it, and whether it changed.

A network's own file may keep state in places that belong to no instance: in a class, in its module
or one beside it, in a function of its stages, in objects that cannot be written without code. A
checkpoint does not hold these, and another instance does not get them from the kept weights.
"""

from __future__ import annotations

import copy
import hashlib
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.contract import Stage
from benchmark.training import state
from benchmark.training.plain import NotPlain, Writer
from benchmark.training.plain_reader import Reader

_OTHERS = ("torch", "benchmark", "builtins", "typing", "abc", "enum")
"""Packages whose classes keep nothing that a network of theirs would change."""

MOST_OBJECTS = 200_000
"""Objects that one fingerprint looks at."""


class Outside:
    """State of a training that its checkpoint does not hold.

    Parameters
    ----------
    model : nn.Module
        As it was built.
    stages : sequence of Stage
    """

    def __init__(self, model: nn.Module, stages: Sequence[Stage]) -> None:
        self._model, self._stages = model, list(stages)
        self._first = self._marks()

    def changed(self) -> list[str]:
        """Names of what is another than at the start."""
        now = self._marks()
        names = dict.fromkeys([*self._first, *now])
        return [name for name in names if self._first.get(name) != now.get(name)]

    def keep(self, tensors: dict[str, Tensor]) -> tuple[dict, list[str]]:
        """Put what changed into ``tensors``, as far as that can be done without code.

        Returns
        -------
        values : dict
            The rest of it, for `restore`.
        lost : list of str
            Names of what changed and cannot be kept.
        """
        shared = {name: value for _, _, name, value in _shared(self._model)}
        writer, values, lost = Writer(self._model), {}, []
        for name in self.changed():
            try:
                values[name] = writer.value(shared[name], f"shared/{name}")
            except (KeyError, NotPlain, RecursionError):
                lost.append(name)
        tensors.update(writer.copies())
        return values, lost

    def restore(self, tensors: dict[str, Tensor], values: dict) -> None:
        """Give classes and modules what `keep` kept.

        Raises
        ------
        ValueError
            If the network's classes and modules hold nothing of that name.
        """
        places = {name: place for *place, name, _ in _shared(self._model)}
        reader = Reader(tensors)
        reader.know(self._model)
        for name, kind in values.items():
            if name not in places:
                raise ValueError(f"there is no {name}")
            owner, attribute = places[name]
            present = vars(owner).get(attribute)
            setattr(owner, attribute, reader.value(kind, f"shared/{name}", present))

    def _marks(self) -> dict[str, str]:
        found = {
            name: fingerprint(value, self._model) for name, value in state.left_out(self._model)
        }
        for stage in self._stages:
            for part in ("losses", "keep", "opponent_losses"):
                value = getattr(stage, part)
                if value is not None:
                    name = f"{part} of stage {stage.name!r}"
                    found[name] = fingerprint(value, self._model)
        for _, _, name, value in _shared(self._model):
            found[name] = fingerprint(value, self._model)
        return found


class Shared:
    """What a network's classes and modules hold, as it was when the network had been built.

    Parameters
    ----------
    model : nn.Module
    """

    def __init__(self, model: nn.Module) -> None:
        self._first = []
        for owner, name, _, value in _shared(model):
            if isinstance(value, types.FunctionType | type | nn.Module):
                continue
            try:
                self._first.append((owner, name, copy.deepcopy(value)))
            except Exception:
                continue  # an object of which there can be no second one

    def restore(self) -> None:
        """Let them hold again what they held at first."""
        for owner, name, value in self._first:
            if fingerprint(vars(owner).get(name)) != fingerprint(value):
                setattr(owner, name, copy.deepcopy(value))

    @contextmanager
    def as_at_first(self) -> Iterator[None]:
        """Within, they hold what they held at first, as in a process that trained nothing."""
        changed = []
        try:
            for owner, name, value in self._first:
                now = vars(owner).get(name)
                if fingerprint(now) != fingerprint(value):
                    changed.append((owner, name, now))
                    setattr(owner, name, copy.deepcopy(value))
            yield
        finally:
            for owner, name, value in changed:
                setattr(owner, name, value)


def _shared(model: nn.Module) -> Iterator[tuple[object, str, str, object]]:
    """Owner, name, name in words and value of all that a network's classes and modules hold."""
    kinds = dict.fromkeys(kind for module in model.modules() for kind in type(module).__mro__)
    kinds = [k for k in kinds if k.__module__.partition(".")[0] not in _OTHERS]
    places = dict.fromkeys(kind.__module__ for kind in kinds)
    modules = [sys.modules[name] for name in places if name in sys.modules]
    modules += [other for other in _beside(modules) if other not in modules]
    for module in modules:
        for name, value in list(vars(module).items()):
            if name.startswith("__") or isinstance(value, types.ModuleType):
                continue
            if isinstance(value, type):
                if value.__module__ == module.__name__ and value not in kinds:
                    kinds.append(value)
                continue
            yield module, name, f"{name} of module {module.__name__}", value
    for kind in kinds:
        for name, value in list(vars(kind).items()):
            if not name.startswith("__") and not name.startswith("_abc_"):
                yield kind, name, f"{name} of class {kind.__name__}", value


def _beside(modules: list[types.ModuleType]) -> list[types.ModuleType]:
    """Loaded modules whose files lie in the same folders."""
    folders = {Path(file).parent for m in modules if (file := getattr(m, "__file__", None))}
    return [
        other
        for other in list(sys.modules.values())
        if isinstance(file := getattr(other, "__file__", None), str)
        and Path(file).parent in folders
        and other.__name__.partition(".")[0] not in _OTHERS
    ]


def fingerprint(value: object, model: nn.Module | None = None) -> str:
    """A hash of all that can be reached from a value, but for a network's own parts.

    Parameters
    ----------
    value : object
    model : nn.Module, optional
        Network whose modules, parameters and buffers are passed over.
    """
    own = set()
    if model is not None:
        own = {id(part) for part in (*model.modules(), *model.parameters(), *model.buffers())}
    walk = _Walk(own)
    walk.take(value)
    return walk.hash.hexdigest()


class _Walk:
    """Goes through an object and what it holds, whatever it is."""

    def __init__(self, own: set[int]) -> None:
        self.hash = hashlib.blake2b(digest_size=16)
        self._own = own
        self._seen: dict[int, tuple[int, object]] = {}

    def _add(self, *words: object) -> None:
        self.hash.update(repr(words).encode("utf-8", "surrogatepass"))

    def take(self, value: object) -> None:
        """Add a value to the hash; not recursive, so that a long chain is no matter."""
        waiting = [value]
        while waiting and len(self._seen) < MOST_OBJECTS:
            waiting += reversed(list(self._one(waiting.pop())))

    def _one(self, value: object) -> list:
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            self._add(value)
            return []
        if id(value) in self._own:
            self._add("own")
            return []
        if id(value) in self._seen:
            self._add("seen", self._seen[id(value)][0])
            return []
        self._seen[id(value)] = (len(self._seen), value)
        self._add(type(value).__name__)
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray | np.generic):
            if value.dtype.hasobject:
                return value.ravel().tolist()
            self._add(value.shape, value.dtype.str)
            self.hash.update(np.ascontiguousarray(value).tobytes())
            return []
        if isinstance(value, torch.Generator):
            return [value.get_state()]
        if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
            self._add(getattr(value, "__name__", ""))
            return [value.__self__] if _bound_to_data(value) else []
        return self._object(value)

    def _tensor(self, value: Tensor) -> list:
        self._add(tuple(value.shape), str(value.dtype))
        try:
            flat = value.detach().cpu().contiguous().flatten()
            self.hash.update(flat.view(torch.uint8).numpy().tobytes())
        except (RuntimeError, TypeError):
            self._add(repr(value))
        return []

    def _object(self, value: object) -> list:
        if isinstance(value, types.FunctionType):
            self._add(value.__qualname__)
            cells = [_content(cell) for cell in value.__closure__ or ()]
            return [value.__defaults__, value.__kwdefaults__, vars(value), *cells]
        if isinstance(value, types.MethodType):
            return [value.__func__, value.__self__]
        if isinstance(value, partial):
            return [value.func, value.args, value.keywords]
        if isinstance(value, staticmethod | classmethod):
            return [value.__func__]
        if isinstance(value, types.GeneratorType):
            frame = value.gi_frame
            return ["ended"] if frame is None else [frame.f_lasti, *frame.f_locals.values()]
        if isinstance(value, dict):
            return [item for pair in list(value.items()) for item in pair]
        if isinstance(value, set | frozenset):
            return sorted(value, key=repr)
        if isinstance(value, list | tuple):
            return list(value)
        if isinstance(value, nn.Module):
            return [vars(value)]
        try:
            # how an object describes itself to be copied: also deques, iterators and generators
            parts = value.__reduce_ex__(2)
        except Exception:
            return [getattr(value, "__dict__", None)]
        if not isinstance(parts, tuple):
            self._add(parts)
            return []
        found = [*parts[1:3]]
        for items in parts[3:5]:
            if items is not None:
                found += list(items)
        return found


def _bound_to_data(value: object) -> bool:
    """Whether a built-in function is a method of an object, as ``list.append`` of a list."""
    owner = getattr(value, "__self__", None)
    return owner is not None and not isinstance(owner, types.ModuleType | type)


def _content(cell) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None
