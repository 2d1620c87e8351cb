"""The options of MMWFAnet: which values are valid, and what they make true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

from benchmark.contract import DICE_WEIGHTINGS
from benchmark.score_head import FORMS, kept_note
from mmwfanet.fusion import CLOSED, FUSION_NOTES, FUSIONS, GATES
from mmwfanet.losses import INTER_FORMS

HEADS = ("mask", "head")
TASK_WEIGHTS = ("fixed", "uncertainty")
DEPENDENCIES = ("inter", "none", "dmtrl", "reverse-mapping")

TUNABLE = {
    "width": [0.75, 1.0, 1.5],
    "omega_qua": (0.1, 1.0, "log"),
    "lambda_inter": (0.01, 1.0, "log"),
}
"""What ``--tune`` may try beside the learning rate: multiples of the width, and weights of losses
that the paper leaves open."""

_ONE_OF: dict[str, Sequence] = {
    "fusion": tuple(FUSIONS),
    "closed_gates": CLOSED,
    "stem_stride": (2, 4),
    "head_sum": FORMS,
    "head_norm": (True, False),
    "dice": DICE_WEIGHTINGS,
    "inter": INTER_FORMS,
    "task_weights": TASK_WEIGHTS,
    "dependency": DEPENDENCIES,
}
_LISTS = {"gates": GATES, "heads": HEADS}
_WHOLE = {"dilation": 1, "head_pooled": 0}
_SHARES = ("dropout", "head_share")
_WEIGHTS = (
    "cross_entropy",
    "omega_seg",
    "omega_qua",
    "lambda_intra",
    "lambda_inter",
    "lambda_relation",
    "lambda_reverse",
    "lambda_adversarial",
)


def check_options(options: Mapping) -> None:
    """Refuse an option's value that is not valid.

    Parameters
    ----------
    options : mapping
        All options of :class:`mmwfanet.model.MMWFAnet` by name.

    Raises
    ------
    ValueError
        With one line that names the option, its valid values and the value given.
    """
    for name, valid in _ONE_OF.items():
        value = options[name]
        # True is 1 and 1.0 is 1 to `in`: compare the types too
        if not any(value == v and type(value) is type(v) for v in valid):
            raise ValueError(f"{name} must be one of {_listed(valid)}, not {value!r}")
    for name, valid in _LISTS.items():
        value = options[name]
        if (
            not isinstance(value, (list, tuple))
            or any(v not in valid for v in value)
            or len(set(value)) < len(value)
        ):
            raise ValueError(f"{name} must be a list of {_listed(valid)}, each once, not {value!r}")
    for name, least in _WHOLE.items():
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number from {least} up, not {value!r}")
    for name in (*_SHARES, *_WEIGHTS):
        value = options[name]
        top = 1 if name in _SHARES else float("inf")
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < top:
            limit = " and below 1" if name in _SHARES else " and finite"
            raise ValueError(f"{name} must be a number from 0 up{limit}, not {value!r}")
    _check_together(options)


def _check_together(options: Mapping) -> None:
    """Refuse values that exclude each other."""
    if not options["heads"]:
        raise ValueError("heads must hold 'mask', 'head' or both")
    if options["fusion"] != "weighted" and tuple(options["gates"]) != GATES:
        raise ValueError(f"gates belong to fusion 'weighted', not to {options['fusion']!r}")
    if options["dependency"] in ("dmtrl", "reverse-mapping") and "head" not in options["heads"]:
        raise ValueError(
            f"dependency {options['dependency']!r} works on the score head: heads must hold 'head'"
        )


def _listed(values: Sequence) -> str:
    return ", ".join(repr(v) for v in values)


def uses_inter(options: Mapping) -> bool:
    """Whether R_inter is a term of the objective."""
    return (
        options["dependency"] == "inter"
        and options["task_weights"] == "fixed"
        and set(options["heads"]) == set(HEADS)
        and options["lambda_inter"] > 0
    )


SLICE_TASKS = {"presence": ("slices", "presence"), "scores": ("slices",), "logarithms": ()}
"""Tasks that a form of head is trained for slice by slice."""


def uncertain_tasks(options: Mapping) -> tuple[str, ...]:
    """The tasks whose log-variance is learnt."""
    tasks = ("segmentation",) if "mask" in options["heads"] else ()
    if "head" in options["heads"]:
        tasks += ("scores", *SLICE_TASKS[options["head_sum"]])
    return tasks


DEFAULT_NOTES = {
    "channels": "channels double from the tier's width: the paper's stand only in its figure 3",
    "stem": "below the paper tier the stem reduces 2-fold, not 4-fold: the grid has pooled already",
    "dice": "generalised Dice on candidate cells, beside a cross entropy (option cross_entropy)",
    "head": "slices add up as scores, a probability of calcium times an amount; pooled slices and "
    "batch norm (head_sum, head_pooled, head_norm)",
    "intra": "intra-task term (R_intra) beside the optimiser's weight decay, which the paper lacks",
    "inter": "inter-task term (R_inter) in a form with a gradient, on kept features as well; as "
    "printed it rewards what the text penalises (inter)",
    "share": kept_note("score head (head_share)"),
    "weights": "omega_1 = 1, omega_2 = 0.3, lambda_2 = 0.2 are ours: the text prints none of them",
}
"""What is to be said of the network with its default options."""


HEAD_WORDS = {
    "presence": "sum of probability times amount",
    "scores": "sum of scores",
    "logarithms": "sum of logarithms",
}


def notes_of(options: Mapping) -> tuple[str, ...]:
    """What is to be said under a board of the network with these options."""
    o, notes = options, dict(DEFAULT_NOTES)
    mask, head = "mask" in o["heads"], "head" in o["heads"]
    if o["stem_stride"] == 4:
        del notes["stem"]
    if not mask:
        del notes["dice"]
    elif not o["cross_entropy"]:
        notes["dice"] = "generalised Dice on candidate cells alone"
    if not head:
        del notes["head"]
    elif (o["head_sum"], o["head_pooled"], o["head_norm"]) != ("presence", 5, True):
        notes["head"] = (
            f"score head: {HEAD_WORDS[o['head_sum']]}, "
            + (f"pooled to {o['head_pooled']} x {o['head_pooled']}" if o["head_pooled"] else "flat")
            + (", with batch norm" if o["head_norm"] else ", without batch norm")
        )
    if not o["lambda_intra"]:
        del notes["intra"]
    if not uses_inter(o) or o["inter"] != "differentiable":
        del notes["inter"]
    if not (mask and head and o["head_share"]):
        del notes["share"]
    elif o["head_share"] != 0.25:
        notes["share"] = kept_note("score head", o["head_share"])
    if not (mask and head) or o["task_weights"] != "fixed":
        del notes["weights"]
    else:
        names = {"omega_1": "omega_seg", "omega_2": "omega_qua"}
        if uses_inter(o):
            names["lambda_2"] = "lambda_inter"
        values = ", ".join(f"{name} = {o[option]:g}" for name, option in names.items())
        notes["weights"] = f"{values} are ours: the text prints none of them"
    return (*notes.values(), *FUSION_NOTES.get(o["fusion"], ()), *_swap_notes(o))


def _swap_notes(o: Mapping) -> tuple[str, ...]:
    """Of what stands in the place of the gates, the task weights and R_inter."""
    notes = []
    if len(o["gates"]) < len(GATES):
        missing = " and ".join(view for view in GATES if view not in o["gates"])
        instead = "its mean in training in its place" if o["closed_gates"] == "mean" else "0"
        notes.append(f"without the gate of the {missing} view ({instead}): its encoder is not run")
    if o["task_weights"] == "uncertainty":
        notes.append(
            "learned log-variances: Laplace for the scan's scores, Gauss for the slices', and "
            "exp(-s) L + s / 2 for segmentation; no omegas, no R_inter"
        )
    if o["dependency"] == "dmtrl":
        notes.append(
            "DMTRL's relationship penalty on the score head's last layer, weight "
            f"{o['lambda_relation']:g}; Omega every 10 steps, mixed with 1 % identity; no R_inter"
        )
    if o["dependency"] == "reverse-mapping":
        notes.append(
            "ARM-style reverse mapping to the score head's input through its own matrices, weight "
            f"{o['lambda_reverse']:g}, adversarial weight {o['lambda_adversarial']:g}; no R_inter"
        )
    return tuple(notes)
