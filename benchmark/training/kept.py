"""A network's state as a weights file holds it, and back into a network: no code is in it."""

from __future__ import annotations

import json

from torch import Tensor, nn

from benchmark.training.plain import NotPlain, Writer
from benchmark.training.plain_reader import Reader

EXTRA = "_extra_state"
"""Name that PyTorch gives to what a module's ``get_extra_state`` returns."""

OUTPUTS = ("logits", "scores")
ANSWERS = 64
"""Values of each output that the file holds."""

REMEDY = (
    "what a network learns or draws must lie in parameters, in register_buffer(persistent=True), "
    "or in what get_extra_state gives"
)


class NotTheNetwork(ValueError):
    """The weights are another network's, or not all of it; the message is one line."""


class Weights(dict):
    """A network's state by name, as it was kept.

    Attributes
    ----------
    answers : dict
        What the network answered to the made-up scan; empty in files of older versions.
    """

    def __init__(self, *values: object, answers: dict | None = None) -> None:
        super().__init__(*values)
        self.answers = answers or {}


def state_of(model: nn.Module) -> dict:
    """All that a network's ``state_dict`` holds: tensors on the CPU, and extra state.

    Raises
    ------
    NotTheNetwork
        If ``get_extra_state`` gives what cannot be kept without code.
    """
    found = {}
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            found[name] = value.detach().cpu().contiguous()
            continue
        try:
            Writer().value(value, name)
        except (NotPlain, RecursionError):
            raise NotTheNetwork(
                f"{name} is {type(value).__name__}, which cannot be kept: get_extra_state may give "
                "tensors, arrays, numbers, text, and lists and dicts of these"
            ) from None
        found[name] = value
    return found


def packed(weights: dict, answers: dict | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A state as tensors and text, as a safetensors file holds them."""
    tensors, extra = {}, {}
    for name, value in weights.items():
        if isinstance(value, Tensor):
            # the format refuses tensors that share memory, as tied weights do
            tensors[name] = value.clone().contiguous()
        else:
            writer = Writer()
            extra[name] = writer.value(value, name)
            tensors |= writer.copies()
    # without either the file is as it always was
    parts = {"extra": extra, "answers": answers}
    return tensors, {name: json.dumps(part) for name, part in parts.items() if part}


def unpacked(tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> Weights:
    """What `packed` packed.

    Raises
    ------
    ValueError
        If the text is none that `packed` wrote.
    """
    metadata = metadata or {}
    weights = Weights(tensors)
    try:
        extra = json.loads(metadata.get("extra", "{}"))
        answers = json.loads(metadata.get("answers", "{}"))
        _check_answers(answers)
        for name, kind in extra.items():
            weights[name] = Reader(tensors).value(kind, name)
            for key in [k for k in weights if k.startswith(f"{name}/")]:
                del weights[key]
    except Exception as error:  # a file may say anything
        raise ValueError(f"its text is none of this program's ({type(error).__name__})") from None
    weights.answers = answers
    return weights


def _check_answers(answers: dict) -> None:
    for name in OUTPUTS:
        values = answers.get(name, [])
        plain = all(value is None or isinstance(value, int | float) for value in values)
        if not isinstance(values, list) or len(values) > ANSWERS or not plain:
            raise ValueError("its answers are no list of numbers")


def saved_and_read(weights: dict) -> Weights:
    """A state written as safetensors and read again, without a file.

    Raises
    ------
    NotTheNetwork
        If it cannot be written.
    """
    from safetensors.torch import load, save

    tensors, metadata = packed(weights)
    try:
        return unpacked(load(save(tensors, metadata or None)), metadata)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise NotTheNetwork(
            f"its state cannot be saved ({type(error).__name__}: {words})"
        ) from error


def load_into(model: nn.Module, weights: dict) -> None:
    """Give a network a kept state, all of it or nothing.

    Raises
    ------
    NotTheNetwork
        If names or shapes are not the network's.
    """
    own = model.state_dict()
    wrong = [f"{name!r} is missing" for name in own if name not in weights]
    wrong += [f"{name!r} is unknown" for name in weights if name not in own]
    wrong += [
        f"{name!r} has shape {tuple(weights[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights
        and name.rpartition(".")[2] != EXTRA
        and isinstance(weights[name], Tensor)
        and weights[name].shape != value.shape
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise NotTheNetwork(f"the weights are not this network's: {', '.join(wrong[:3])}{more}")
    try:
        model.load_state_dict(dict(weights), strict=True)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise NotTheNetwork(f"the weights are not this network's: {words}") from error
