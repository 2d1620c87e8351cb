"""One cell of a suite: build a method, train it under the budget, predict the test scans."""

from __future__ import annotations

import platform
import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark import inference
from benchmark.contract import CLASSES, SCORE_COUNT, parameter_count, probabilities
from benchmark.methods import Method
from benchmark.training.clock import PeakMemory
from benchmark.training.grid import CHANNELS
from benchmark.training.loop import CellFailed, Report, Trainer, TrainingSet
from benchmark.training.prepare import Example, Prepared
from benchmark.training.settings import Settings

LARGEST_LOG_SCORE = 20.0
"""ln(1 + score) above this (4.8e8) is not a score: such an estimate counts as missing."""


@dataclass
class CellResult:
    """What one cell produced.

    Attributes
    ----------
    method : str
    seed : int
    ids : list of str
        Test scans.
    reference : ndarray, (n, 3, 4)
    mask, head : ndarray, (n, 3, 4), or None
        Estimated scores from the labels and from the score head; NaN where the method failed.
    tp, fp, fn : ndarray, (n, 4), mm3, or None
    worst_fp : ndarray, (n, 4), mm3
        Volume of all candidates outside the reference: what a failed scan costs.
    components : list of ndarray of uint8, or None
        Class of each candidate component of each scan (entry 0: background).
    ledger : dict
    curve : list of (stage, share spent, samples, loss)
    notes : tuple of str
    state : dict of Tensor
        Weights, on the CPU.
    """

    method: str
    seed: int
    ids: list[str]
    reference: np.ndarray
    worst_fp: np.ndarray
    mask: np.ndarray | None = None
    head: np.ndarray | None = None
    tp: np.ndarray | None = None
    fp: np.ndarray | None = None
    fn: np.ndarray | None = None
    components: list[np.ndarray] | None = None
    ledger: dict = field(default_factory=dict)
    curve: list = field(default_factory=list)
    notes: tuple[str, ...] = ()
    state: dict[str, torch.Tensor] = field(default_factory=dict)


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; else the device of that name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def build(method: Method, prepared: Prepared, settings: Settings) -> nn.Module:
    """Construct a method's network for the training grid.

    Raises
    ------
    CellFailed
        If the constructor raises, or a forward pass of one training scan gives the wrong shapes.
    """
    options = {**method.options, **(settings.options or {}).get(method.name, {})}
    try:
        model = method.load()(prepared.grid.shape, CHANNELS, settings.width, **options)
    except Exception as error:
        raise CellFailed(
            f"could not be built: {type(error).__name__}: {error}", traceback.format_exc()
        ) from error
    return model


def _check_outputs(method: Method, output: dict, batch: int, grid: tuple[int, int, int]) -> None:
    wanted = {"mask": ("logits", (batch, CLASSES, *grid)), "head": ("scores", (batch, SCORE_COUNT))}
    for kind in method.outputs:
        name, shape = wanted[kind]
        if not isinstance(output, dict) or name not in output:
            raise CellFailed(
                f"forward gives no {name!r}, which outputs = {method.outputs} promises"
            )
        if tuple(output[name].shape) != shape:
            raise CellFailed(f"{name!r} has shape {tuple(output[name].shape)}, not {shape}")


def run_cell(
    method: Method,
    prepared: Prepared,
    settings: Settings,
    seed: int,
    device: str = "auto",
    threads: int = 1,
    on_progress: Report | None = None,
) -> CellResult:
    """Train one method and predict every test scan.

    Parameters
    ----------
    method : Method
    prepared : Prepared
    settings : Settings
    seed : int
        Of the weights, the data order, augmentation and dropout.
    device : str
    threads : int
        Threads of torch on the CPU.
    on_progress : callable, optional
        ``on_progress(stage, share spent, loss, seconds left)``.

    Raises
    ------
    CellFailed
        If the network fails in a way that is its own: the message is one line for the board.
    """
    result = CellResult(
        method.name,
        seed,
        prepared.test_ids,
        prepared.reference,
        np.stack(
            [inference.worst_false_positives(e.candidates, e.voxel_mm3) for e in prepared.test]
        ),
    )
    if not method.trained:
        return _run_reference(method, prepared, result)
    where = choose_device(device)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    memory = PeakMemory(where)
    begin = time.perf_counter()
    model = build(method, prepared, settings).to(where)
    trainer = Trainer(
        model, TrainingSet.of(prepared.train), settings, seed, where, threads, on_progress
    )
    try:
        with torch.no_grad():
            model.eval()
            _check_outputs(
                method,
                model(trainer.data.take(np.array([0])).image.to(where)),
                1,
                prepared.grid.shape,
            )
        trainer.run()
        trained = time.perf_counter()
        predict(model, method, prepared.test, settings, where, result)
    except (CellFailed, KeyboardInterrupt):
        raise
    except Exception as error:
        raise CellFailed(
            f"{type(error).__name__}: {_first_line(error)}", traceback.format_exc()
        ) from error
    spent = trainer.spending.as_dict()
    steps = max(1, spent["steps"])
    result.ledger = {
        **spent,
        "budget": settings.budget,
        "step_seconds": round(spent["device_seconds"] / steps, 4),
        "flops_per_step": trainer.stage_ledger[0]["flops_per_step"]
        if len(trainer.stage_ledger) == 1
        else max(stage["flops_per_step"] for stage in trainer.stage_ledger),
        "stages": trainer.stage_ledger,
        "data_seconds": round(trainer.data_seconds, 3),
        "wall_seconds": round(trained - begin, 3),
        "evaluation_seconds": round(time.perf_counter() - trained, 3),
        "peak_memory_bytes": memory.bytes(),
        "parameters": parameter_count(model),
        "grid": list(prepared.grid.shape),
        **machine(where, threads),
    }
    diagnostics = getattr(model, "diagnostics", None)
    if diagnostics:
        result.ledger["diagnostics"] = {name: float(value) for name, value in diagnostics.items()}
    result.curve = trainer.curve
    result.notes = tuple(getattr(model, "notes", ()))
    result.state = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    return result


def predict(
    model: nn.Module,
    method: Method,
    test: tuple[Example, ...],
    settings: Settings,
    device: torch.device,
    result: CellResult,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill a result's predictions: labels by component vote, and scores from mask and head."""
    model.eval()
    count = len(test)
    has_mask, has_head = "mask" in method.outputs, "head" in method.outputs
    if has_head:
        result.head = np.full((count, 3, 4), np.nan)
    if has_mask:
        result.mask = np.full((count, 3, 4), np.nan)
        result.tp, result.fp, result.fn = (np.zeros((count, 4)) for _ in range(3))
        result.components = []
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(settings.precision)
    for begin in range(0, count, settings.batch_size):
        chunk = test[begin : begin + settings.batch_size]
        image = torch.from_numpy(np.stack([e.image for e in chunk])).float().to(device)
        with (
            torch.no_grad(),
            torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None),
        ):
            output = model(image)
        if has_head:
            log_scores = output["scores"].float().cpu().numpy().astype(np.float64)
            log_scores[~(np.abs(log_scores) <= LARGEST_LOG_SCORE)] = np.nan
            # a negative score is no score: the clinic's scale starts at 0
            result.head[begin : begin + len(chunk)] = np.maximum(np.expm1(log_scores), 0).reshape(
                -1, 3, 4
            )
        if has_mask:
            share = probabilities(output["logits"]).cpu().numpy()
            for i, example in enumerate(chunk):
                finite = bool(np.isfinite(share[i]).all())
                _record_mask(
                    result,
                    begin + i,
                    example,
                    inference.vote(share[i], example.candidates) if finite else None,
                )
        if progress is not None:
            progress(min(begin + len(chunk), count), count)


def _record_mask(
    result: CellResult, row: int, example: Example, classes: np.ndarray | None
) -> None:
    """Keep one scan's classes, overlap and scores; None: the network gave no finite answer."""
    if classes is None:
        # left as NaN: the metrics put the worst value in its place
        result.tp[row] = result.fp[row] = result.fn[row] = np.nan
        result.components.append(np.zeros(example.candidates.count + 1, np.uint8))
        return
    result.components.append(classes)
    result.tp[row], result.fp[row], result.fn[row] = inference.overlap(
        classes, example.candidates, example.voxel_mm3
    )
    result.mask[row] = example.estimated_scores(classes)


def _run_reference(method: Method, prepared: Prepared, result: CellResult) -> CellResult:
    """A row without learning: fitted on the training split by counting, not by gradients."""
    rule = method.load()()
    rule.fit(prepared.train)
    count = len(prepared.test)
    result.mask = np.full((count, 3, 4), np.nan)
    result.tp, result.fp, result.fn = (np.zeros((count, 4)) for _ in range(3))
    result.components = []
    for row, example in enumerate(prepared.test):
        _record_mask(result, row, example, rule.classify(example))
    result.notes = tuple(rule.notes)
    result.ledger = {
        "device_seconds": 0.0,
        "steps": 0,
        "samples": 0,
        "flops": 0.0,
        "parameters": 0,
        "stages": [],
        **machine(torch.device("cpu"), 1),
    }
    return result


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else "no message"


def machine(device: torch.device, threads: int) -> dict:
    """Where and with what a run was made."""
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        try:
            for line in Path("/proc/cpuinfo").read_text().splitlines():
                if line.startswith("model name"):
                    name = line.partition(":")[2].strip()
                    break
        except OSError:
            pass
    return {
        "device": device.type,
        "device_name": name,
        "threads": threads,
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {
            p: _version(p) for p in ("torch", "numpy", "scipy", "connected-components-3d")
        },
        "git_commit": git_commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def git_commit() -> str:
    """Commit of the source tree this package runs from, with ``+`` if it holds changes."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+" if dirty else "")
