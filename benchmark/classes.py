"""The class behind a method's target, and what it says of itself. No torch is imported here.

A user's file is asked in a process of its own (`benchmark.look`) and imported only by `load`.
"""

from __future__ import annotations

import importlib
import inspect

from benchmark.errors import UserError
from benchmark.frozen import import_own
from benchmark.look import look
from benchmark.look import try_to_build as try_apart
from benchmark.sources import Code, is_own, read_code, remember
from benchmark.tunable import declared


def read(name: str, target: str) -> Code:
    """The code of a user's own, with what is seen only when it is imported.

    Raises
    ------
    UserError
        If a file cannot be read, cannot be imported, or ends the program.
    """
    module = target.rpartition(":")[0]
    code = _look(name, target, None)[0]
    remember(module, code)
    return code


def load(name: str, target: str, code: Code | None) -> type:
    """Import a class into this process; see `benchmark.methods.Method.load`."""
    module_name, _, class_name = target.rpartition(":")
    if code is None and is_own(target):
        code = read_code(module_name)
    try:
        if code is None:
            module = importlib.import_module(module_name)
        else:
            module = import_own(code.digest, code.module, code.path, code.files)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"method {name!r}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    except SystemExit as error:
        raise UserError(
            f"method {name!r}: importing {module_name} ended the program (SystemExit: {error})"
        ) from None
    if not hasattr(module, class_name):
        raise _no_class(name, target)
    return getattr(module, class_name)


def facts(name: str, target: str, code: Code | None) -> dict:
    """What a class says of itself; see `benchmark.methods.Method.facts`."""
    if is_own(target):
        classes = _look(name, target, code)[1]
        class_name = target.rpartition(":")[2]
        if class_name not in classes:
            raise _no_class(name, target)
        return classes[class_name]
    kind = load(name, target, None)
    parameters = inspect.signature(kind).parameters.values()
    tunable, tunable_fault = declared(kind)
    return {
        "outputs": list(getattr(kind, "outputs", ())),
        "defaults": {p.name: p.default for p in parameters if p.default is not p.empty},
        "refused": {},
        "takes_any": any(p.kind is p.VAR_KEYWORD for p in parameters),
        "tunable": tunable,
        "tunable_fault": tunable_fault,
    }


def try_to_build(
    name: str, target: str, code: Code | None, arguments: tuple, options: dict
) -> tuple[str, ...]:
    """Build a network and throw it away; see `benchmark.methods.Method.try_to_build`."""
    try:
        if code is not None:
            return try_apart(code, target.rpartition(":")[2], arguments, options)
        made = load(name, target, None)(*arguments, **options)
        return tuple(getattr(made, "outputs", ()))
    except (UserError, ValueError, TypeError) as error:
        raise UserError(f"method {name!r}: {error}") from None


def _look(name: str, target: str, code: Code | None) -> tuple[Code, dict]:
    module = target.rpartition(":")[0]
    try:
        return look(code or read_code(module), module)
    except UserError as error:
        raise UserError(f"method {name!r}: {error}") from None


def _no_class(name: str, target: str) -> UserError:
    module, _, class_name = target.rpartition(":")
    return UserError(f"method {name!r}: {module} has no class {class_name!r}")
