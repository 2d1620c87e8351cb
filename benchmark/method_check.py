"""The contract as checks: what a network must do before it may stand on a leaderboard.

The same functions run in ``benchmark check-method path/to/net.py:Net`` and in the tests of the
networks that come with the program. Each check takes a `Subject` and raises `Fault`, in plain
words, if the network does not keep to `benchmark.contract`.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.contract import (
    CLASSES,
    SCORE_COUNT,
    Batch,
    Stage,
    parameter_count,
    stages_of,
)
from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.option_values import REMEDY as PLAIN_OPTIONS
from benchmark.option_values import holds, refusal
from benchmark.training import kept as kept_weights
from benchmark.training import shares
from benchmark.training.grid import CHANNELS
from benchmark.training.kept import REMEDY
from benchmark.training.outside import Shared
from benchmark.training.settings import Settings
from benchmark.training.witness import Witness
from benchmark.tunable import fault_of

GRID = (8, 12, 12)
OTHER_GRIDS = ((8, 8, 8), (9, 13, 11), (12, 16, 16))
"""The smallest there is, one of odd numbers, and a larger one: cohorts differ in size."""
WIDTH = 8
RATE = 3e-3
STEPS = 45
FALL = 0.7
"""After `STEPS` steps on two scans the loss must be below this share of the first."""

SETTINGS = Settings("1 steps", (3.0, 7.5, 7.5), WIDTH, 2, RATE)
"""Of what is compared after saving: numbers of 32 bits."""

TIMED_GRID = (16, 32, 32)
TIMED_WIDTH = 16
OUTPUTS = ("mask", "head")
KEYS = {"mask": "logits", "head": "scores"}


class Fault(Exception):
    """What is wrong with a network.

    Parameters
    ----------
    problem : str
        What was seen.
    remedy : str
        What to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True)
class Subject:
    """A network to be checked.

    Attributes
    ----------
    method : Method
    kind : type
        Its class.
    """

    method: Method
    kind: type

    def build(self, grid: tuple[int, int, int] = GRID, width: int = WIDTH) -> nn.Module:
        """The network with the weights of seed 0."""
        torch.manual_seed(0)
        return self.kind(grid, CHANNELS, width, **self.method.options)

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.kind.__name__


def subject_of(method: Method) -> Subject:
    """Load a method's class.

    Raises
    ------
    UserError
        If there is no such file or class, or it does not import.
    Fault
        If what the name stands for is not a class of networks.
    """
    kind = method.load()
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise Fault(
            f"{getattr(kind, '__name__', method.target)} is not a torch.nn.Module class",
            "write `class Net(torch.nn.Module)`",
        )
    return Subject(method, kind)


# What is fed in


def two_scans(grid: tuple[int, int, int] = GRID, lesions: bool = True) -> Batch:
    """Two scans with bright cells: those of the left half belong to the LAD, others to nothing."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, CHANNELS, *grid, generator=generator) * 0.1 - 0.5
    candidate = torch.rand(2, *grid, generator=generator) < 0.05
    candidate[:, 2, 2, 2] = True
    image.movedim(1, -1)[candidate] += 1.5
    target = torch.zeros(2, *grid, dtype=torch.int64)
    if lesions:
        target[..., : grid[2] // 2] = 1
        target[..., grid[1] // 2 :, grid[2] // 2 :] = 3
        target[~candidate] = 0
    scores = torch.zeros(2, SCORE_COUNT)
    if lesions:
        scores[0], scores[1] = 2.0, 5.0
    # one slice holds all
    slice_scores = torch.zeros(2, grid[0], SCORE_COUNT)
    slice_scores[:, 2] = scores
    return Batch(image, target, candidate, scores, slice_scores)


def kept(model: nn.Module, stage: Stage, batch: Batch) -> Batch:
    """The batch as the loop hands it to a stage that runs on kept features."""
    if stage.keep is None:
        return batch
    model.eval()
    with torch.no_grad():
        features = stage.keep(batch.image)
    model.train()
    empty = torch.empty(0)
    return Batch(empty, empty, empty, batch.scores, batch.slice_scores, features)


def train(model: nn.Module, batch: Batch, steps: int) -> list[tuple[Stage, list[float]]]:
    """Every stage for ``steps`` steps, as the training loop does; the losses by stage."""
    model.train()
    history = []
    for stage in stages_of(model):
        optimiser = torch.optim.AdamW(list(stage.parameters), RATE)
        rival = None
        if stage.opponent_losses is not None:
            rival = torch.optim.AdamW(list(stage.opponent_parameters), RATE)
        mine, losses = kept(model, stage, batch), []
        for _ in range(steps):
            if rival is not None:
                rival.zero_grad()
                _total(stage.opponent_losses(mine)).backward()
                rival.step()
            optimiser.zero_grad()
            total = _total(stage.losses(mine))
            total.backward()
            optimiser.step()
            if hasattr(model, "after_step"):
                model.after_step()
            losses.append(float(total.detach()))
        history.append((stage, losses))
    return history


def _total(terms: dict[str, Tensor]) -> Tensor:
    """The sum of a stage's terms, if that is a number with a gradient."""
    if not isinstance(terms, dict) or not terms:
        raise Fault(
            f"losses gives {type(terms).__name__}, not a dict with at least one term",
            'return {"name": loss}',
        )
    total = sum(terms.values())
    if not isinstance(total, Tensor) or total.numel() != 1:
        raise Fault("a loss is not one number", "reduce it, for instance by .mean()")
    if not total.requires_grad:
        raise Fault(
            "the loss depends on no parameter",
            "compute it from the network's output, without .detach() or torch.no_grad()",
        )
    return total


# The checks


def check_outputs(subject: Subject) -> None:
    """``outputs`` names what the network gives"""
    own = getattr(subject.kind, "outputs", None)
    good = isinstance(own, tuple | list) and own and set(own) <= set(OUTPUTS)
    if not good:
        raise Fault(
            f"outputs is {own!r}",
            'write outputs = ("mask",), ("head",) or ("mask", "head") in the class',
        )
    model = subject.build()
    promised = tuple(model.outputs)
    if subject.method.outputs and promised != tuple(subject.method.outputs):
        raise Fault(
            f"outputs is {promised}, but the list of methods says {subject.method.outputs}",
            "write the same in both places",
        )


def check_notes(subject: Subject) -> None:
    """``notes`` are short lines"""
    notes = getattr(subject.build(), "notes", None)
    if not isinstance(notes, tuple | list) or not notes:
        raise Fault(
            "there are no notes",
            'write notes = ("what differs from the published form",): they stand under the board',
        )
    for line in notes:
        if not isinstance(line, str) or not 0 < len(line) < 200 or "\n" in line:
            raise Fault(f"a note is not one short line: {line!r:.60}", "keep it under 200 letters")


def check_options(subject: Subject) -> None:
    """options have defaults that JSON can hold"""
    for parameter in list(inspect.signature(subject.kind).parameters.values())[3:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.default is parameter.empty:
            raise Fault(
                f"the constructor's {parameter.name!r} has no default",
                "give it one: the harness passes grid, in_channels and width alone",
            )
        if not holds(parameter.default):
            raise Fault(refusal(parameter.name, repr(parameter.default)), PLAIN_OPTIONS)


def check_tunable(subject: Subject) -> None:
    """what may be tuned is declared well"""
    if fault := fault_of(subject.method.facts()):
        raise Fault(fault, "see tunable in benchmark/contract.py")


def check_shapes(subject: Subject) -> None:
    """outputs of the right shape on grids of any size"""
    for grid in (GRID, *OTHER_GRIDS):
        model = subject.build(grid).eval()
        with torch.no_grad():
            output = model(two_scans(grid).image)
        _check_shapes(output, tuple(model.outputs), grid)


def _check_shapes(output: dict[str, Tensor], outputs: tuple[str, ...], grid: tuple) -> None:
    where = f"on a grid of {' x '.join(map(str, grid))} cells"
    if not isinstance(output, dict):
        raise Fault(
            f"forward gives {type(output).__name__}, not a dict",
            'return {"logits": ...}, {"scores": ...} or both',
        )
    shapes = {"logits": (2, CLASSES, *grid), "scores": (2, SCORE_COUNT)}
    words = {
        "logits": "(B, 4, Z, Y, X): background, LAD, LCX, RCA",
        "scores": "(B, 12): ln(1 + score) of Agatston, volume, mass x LAD, LCX, RCA, whole",
    }
    for kind, key in KEYS.items():
        if (key in output) != (kind in outputs):
            there = "gives" if key in output else "does not give"
            raise Fault(
                f"forward {there} {key!r}, but outputs is {outputs}",
                f"{kind!r} in outputs and {key!r} in the result go together",
            )
        if key in output:
            _check_tensor(output[key], key, shapes[key], words[key], where)
    if "slice_scores" in output:
        if "scores" not in output:
            raise Fault("there are slice_scores without scores", "give both")
        parts = output["slice_scores"]
        _check_tensor(
            parts, "slice_scores", (2, grid[0], SCORE_COUNT), "(B, Z, 12), slice by slice", where
        )
        whole = output["scores"].expm1()
        if not torch.allclose(parts.expm1().sum(dim=1), whole, rtol=1e-3, atol=1e-3):
            raise Fault(
                "slice_scores do not add up to scores",
                "scores = slice_scores.expm1().sum(dim=1).log1p()",
            )


def _check_tensor(tensor: Tensor, key: str, shape: tuple, words: str, where: str) -> None:
    if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape:
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise Fault(f"{key!r} is {found} {where}, not {shape}", f"it should be {words}")
    if not torch.isfinite(tensor).all():
        raise Fault(f"{key!r} holds values that are not finite {where}", "look for 0 / 0 or log 0")


def check_one_alone(subject: Subject) -> None:
    """a scan is judged alike alone and in a batch"""
    model = subject.build().eval()
    image = two_scans().image
    with torch.no_grad():
        both, alone, again = model(image), model(image[:1]), model(image)
    for key in both.keys() & set(KEYS.values()):
        if not torch.allclose(both[key], again[key], rtol=1e-4, atol=1e-4):
            raise Fault(
                f"{key!r} differs between two calls with the same scans",
                "in evaluation mode nothing may be drawn: use nn.Dropout, or ask self.training",
            )
        if not torch.allclose(both[key][:1], alone[key], rtol=1e-4, atol=1e-4):
            raise Fault(
                f"{key!r} of a scan depends on the other scans of its batch",
                "mix nothing over the first axis; batch norm must use its kept means in eval()",
            )


def check_stages(subject: Subject) -> None:
    """stages share the budget out"""
    problem, remedy = shares.fault(stages_of(subject.build()))
    if problem:
        raise Fault(problem, remedy)


def check_gradients(subject: Subject) -> None:
    """every parameter is moved by some stage"""
    if not subject.method.retrain:
        return
    model = subject.build()
    before = {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    if not before:
        raise Fault(
            "the network has no parameter to train", "assign its layers in __init__ to self"
        )
    reached = set()
    batch = two_scans()
    model.train()
    for stage in stages_of(model):
        mine = kept(model, stage, batch)
        for losses, parameters in (
            (stage.opponent_losses, stage.opponent_parameters),
            (stage.losses, stage.parameters),
        ):
            if losses is None:
                continue
            # no weight decay: only a gradient can move a value
            optimiser = torch.optim.Adam(list(parameters), 1e-3)
            # a second step too: what is multiplied by zeros at the start moves then
            for _ in range(2):
                optimiser.zero_grad()
                _total(losses(mine)).backward()
                optimiser.step()
        now = dict(model.named_parameters())
        reached |= {name for name in before if not torch.equal(now[name], before[name])}
    still = sorted(set(before) - reached)
    if still:
        raise Fault(
            f"no loss reaches {len(still)} of {len(before)} parameters: {', '.join(still[:3])}",
            "use them in forward, take them out, or freeze them with requires_grad_(False)",
        )


def check_without_calcium(subject: Subject) -> None:
    """losses are finite on scans without calcium"""
    batch = two_scans(lesions=False)
    batch.candidate[:] = False
    for stage, losses in train(subject.build(), batch, 2):
        if not all(map(math.isfinite, losses)):
            raise Fault(
                f"the loss of stage {stage.name!r} is {losses} on scans without calcium",
                "a third of all patients have none: guard means over no cell, and divisions",
            )


def check_learning(subject: Subject) -> None:
    """the loss falls on two scans"""
    batch = two_scans()
    # a later stage begins with what an earlier one has learnt: its fall counts from before both
    untrained = {}
    for place, stage in enumerate(stages_of(subject.build())):
        model = subject.build()
        stage = stages_of(model)[place]
        untrained[stage.name] = float(_total(stage.losses(kept(model, stage, batch))).detach())
    for stage, losses in train(subject.build(), batch, STEPS):
        start = max(losses[0], untrained[stage.name])
        if not min(losses[-5:]) < FALL * start:
            raise Fault(
                f"the loss of stage {stage.name!r} went from {start:.3g} to "
                f"{min(losses[-5:]):.3g} in {STEPS} steps on two scans",
                f"it should fall below {FALL:g} of its start when two scans are learnt by heart "
                f"(AdamW, learning rate {RATE:g}): look at the losses and at the last layer",
            )


def check_saving(subject: Subject) -> None:
    """saved and loaded it gives the same outputs"""
    model = subject.build()
    witness = Witness(
        lambda: subject.kind(GRID, CHANNELS, WIDTH, **subject.method.options),
        (two_scans().image,),
        SETTINGS,
        torch.device("cpu"),
        fresh=Shared(model).as_at_first,
    )
    train(model, two_scans(), 2)
    witness.hear(model)
    witness.hear_again(model)
    try:
        witness.verify(kept_weights.saved_and_read(kept_weights.state_of(model)))
    except kept_weights.NotTheNetwork as error:
        raise Fault(str(error).removesuffix(f"; {REMEDY}"), REMEDY) from None


CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_options,
    check_outputs,
    check_notes,
    check_tunable,
    check_shapes,
    check_one_alone,
    check_stages,
    check_gradients,
    check_without_calcium,
    check_learning,
    check_saving,
)


FIRST = (check_options, check_outputs, check_shapes)
"""Without these the others would only say the same again."""


def title_of(check: Callable) -> str:
    """What a check looks at, in a few words."""
    return inspect.getdoc(check).splitlines()[0]


def run_checks(subject: Subject) -> Iterator[tuple[str, Fault | None]]:
    """Run all checks; an exception of the network's own code is a fault too.

    A fault in one of `FIRST` ends it.

    Yields
    ------
    title : str
    fault : Fault or None
    """
    for check in CHECKS:
        fault = None
        try:
            check(subject)
        except Fault as found:
            fault = found
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            fault = _own_error(subject, error)
        yield title_of(check), fault
        if fault is not None and check in FIRST:
            return


def _own_error(subject: Subject, error: BaseException) -> Fault:
    """An exception in the network's code as a fault: which line of it, and what it said."""
    file, place, words = inspect.getsourcefile(subject.kind), "", " ".join(str(error).split())
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            place = f" at line {trace.tb_lineno}"
        trace = trace.tb_next
    remedy = "the harness calls Net(grid, in_channels, width) and net(image), image (B, C, Z, Y, X)"
    return Fault(f"{type(error).__name__}{place}: {words[:200]}", remedy)


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes
    ----------
    parameters : int
        Trainable values.
    seconds : float
        Of one step of two scans, forward, backward and optimiser, the fastest of three.
    """

    parameters: int
    seconds: float


def cost_of(subject: Subject) -> Cost:
    """Parameters and time of a step on `TIMED_GRID` at width `TIMED_WIDTH`, on the CPU."""
    model = subject.build(TIMED_GRID, TIMED_WIDTH)
    batch = two_scans(TIMED_GRID)
    model.train()
    stage = max(stages_of(model), key=lambda stage: stage.share)
    mine = kept(model, stage, batch)
    optimiser = torch.optim.AdamW(list(stage.parameters), RATE)
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        optimiser.zero_grad()
        _total(stage.losses(mine)).backward()
        optimiser.step()
        times.append(time.perf_counter() - begin)
    # the first step also sets things up
    return Cost(parameter_count(model), min(times[1:]))
