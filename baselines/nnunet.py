"""nnU-Net v2: what most would train instead; it plans and trains itself in a child process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from baselines import nnunet_child
from benchmark.cohorts.base import Cohort
from benchmark.training.curve import Report
from benchmark.training.loop import CellFailed
from benchmark.training.predict import CellResult, expect_masks, record_mask
from benchmark.training.prepare import Example, Prepared
from benchmark.training.settings import Budget, Settings
from benchmark.training.shares import overspent

DATASET = "Dataset001_Calcium"
LABELS = {"background": 0, "LAD": 1, "LCX": 2, "RCA": 3}
IGNORED = 4
"""nnU-Net wants its ignored label to follow the others."""
PROGRESS = "progress.json"
LEDGER = "ledger.json"
FAULT = "fault.txt"


class NNUNet:
    """F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
    image segmentation", Nature Methods 18, 2021; residual encoder plans of "nnU-Net Revisited",
    MICCAI 2024. The package `nnunetv2` itself, through its Python API, in a child process.

    Kept: its own fingerprint, plan (spacing, patch, topology), preprocessing, augmentation, loss,
    optimiser and sampling, and its sliding-window prediction.

    Deviations and choices

    * It is trained on the field that the training grid covers, cut out of each scan at the scan's
      own resolution: what all methods see, in finer voxels.
    * It trains until the suite's budget is spent. Its learning rate falls over the spent share as
      over its 1,000 epochs; on the suite's small budgets it takes few steps, since each is large.
    * Planning, preprocessing, augmentation (in processes of its own) and prediction are outside the
      budget, as every method's data and evaluation are.
    * Its class probabilities, resampled to the scan's voxels, vote on each component above 130 HU
      like every other method's; no mirroring in training or prediction by default, since the
      arteries have sides (``mirroring=True`` is nnU-Net's own default).
    * Its Dice is a mean over scans, in which an artery that a patch lacks and the network does not
      name counts as right. On small budgets it then names none at all. ``candidates=True`` gives it
      what every other method here has: what is no candidate above 130 HU is its ignored label, and
      Dice is that of the batch, a switch of its own plans.

    Parameters
    ----------
    planner : str
        Name of an experiment planner of nnunetv2.
    memory_gb : float or None
        GPU memory that the planner aims at, which sets patch and batch; None is the planner's own.
    mirroring : bool
    features : int or None
        Channels of the first stage; None is the planner's own, 32. Fewer is no plan of nnU-Net's.
    spacing : list of three floats or None
        Voxel size (z, y, x) in mm that scans are resampled to, instead of the planned one.
    tile_step : float
        Step of the sliding window as a share of the patch; nnU-Net's own is 0.5.
    candidates : bool
        Losses on candidate voxels alone, and Dice of the batch.

    Notes
    -----
    As planned, a step takes tens of seconds on two cores. The smoke and quick tiers therefore set
    the last three and a small ``memory_gb`` (`benchmark/suites/table1.yaml`): topology, patch and
    batch still come from the planner, but of coarser voxels, a narrower network and a small
    memory. Such a row says what nnU-Net does within that tier, not what it can do.
    """

    outputs = ("mask",)
    packages = ("nnunetv2",)
    """Packages whose versions are part of a cell's key."""
    notes = (
        "plans, augments, optimises and predicts its own way; budget and vote are the suite's",
        "it sees the training grid's field at the scan's own resolution",
        "planning, preprocessing and augmentation are outside the budget",
        "its learning rate falls over the spent share of the budget",
    )

    def __init__(
        self,
        planner: str = "nnUNetPlannerResEncM",
        memory_gb: float | None = None,
        mirroring: bool = False,
        features: int | None = None,
        spacing: list[float] | None = None,
        tile_step: float = 0.5,
        candidates: bool = False,
    ) -> None:
        if memory_gb is not None and not memory_gb > 0:
            raise ValueError(f"memory_gb must be above 0, not {memory_gb}")
        if features is not None and features < 1:
            raise ValueError(f"features must be at least 1, not {features}")
        if spacing is not None and (len(spacing) != 3 or not min(spacing) > 0):
            raise ValueError(f"spacing must be three sizes (z, y, x) in mm, not {spacing}")
        if not 0 < tile_step <= 1:
            raise ValueError(f"tile_step must be above 0 and at most 1, not {tile_step}")
        self.planner, self.memory_gb, self.mirroring = planner, memory_gb, mirroring
        self.features, self.tile_step, self.candidates = features, tile_step, candidates
        self.spacing = None if spacing is None else [float(size) for size in spacing]

    def run(
        self,
        result: CellResult,
        cohort: Cohort,
        prepared: Prepared,
        settings: Settings,
        seed: int,
        device: str,
        threads: int,
        on_progress: Report | None = None,
    ) -> CellResult:
        """Train in a child process and predict every test scan.

        Parameters
        ----------
        result : CellResult
            Filled and returned.
        cohort : Cohort
            The scans; the training grid's arrays are too coarse for nnU-Net.
        prepared, settings, seed, device, threads, on_progress
            See `benchmark.training.cell.run_cell`.

        Raises
        ------
        CellFailed
            If the child process fails; its own words are the traceback.
        """
        folder = Path(tempfile.mkdtemp(prefix="nnunet-"))
        try:
            self._write_job(folder, settings, seed, device, threads)
            for place, example in enumerate(prepared.train):
                write_case(
                    folder / "raw" / DATASET, f"case_{place:05}", cohort, example, prepared,
                    self.candidates,
                )  # fmt: skip
            write_dataset(folder / "raw" / DATASET, len(prepared.train), self.candidates)
            for place, example in enumerate(prepared.test):
                write_test(folder / "test" / f"{place:05}.npz", cohort, example, prepared)
            run_child(folder, device, threads, on_progress)
            ledger = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
            expect_masks(result)
            for row, example in enumerate(prepared.test):
                votes = np.load(folder / "out" / f"{row:05}.npy", allow_pickle=False)
                finite = bool(np.isfinite(votes).all())
                record_mask(result, row, example, _classes(votes) if finite else None)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        result.curve = [tuple(point) for point in ledger.pop("curve")]
        result.ledger = {**ledger, "budget": settings.budget, "grid": list(prepared.grid.shape)}
        helped = ("losses on candidates alone, Dice of the batch",) if self.candidates else ()
        over = overspent(ledger, ledger["stages"], Budget.parse(settings.budget))
        result.notes = (*self.notes, *helped, *self._narrowed(), *filter(None, (over,)))
        return result

    def _narrowed(self) -> tuple[str, ...]:
        """What of a plan was not nnU-Net's own, for the board."""
        parts = []
        if self.features is not None:
            parts.append(f"{self.features} features at first instead of 32")
        if self.spacing is not None:
            parts.append(f"voxels of {' x '.join(f'{size:g}' for size in self.spacing)} mm")
        if self.memory_gb is not None:
            parts.append(f"patch and batch planned for {self.memory_gb:g} GB")
        if self.tile_step != 0.5:
            parts.append(f"tiles {self.tile_step:g} of a patch apart instead of 0.5")
        return (f"made smaller than planned: {', '.join(parts)}",) if parts else ()

    def _write_job(
        self, folder: Path, settings: Settings, seed: int, device: str, threads: int
    ) -> None:
        job = {
            "planner": self.planner,
            "memory_gb": self.memory_gb,
            "features": self.features,
            "spacing": self.spacing,
            "tile_step": self.tile_step,
            "configuration": {"batch_dice": True} if self.candidates else {},
            "trainer": "nnUNetTrainer" if self.mirroring else "nnUNetTrainerNoMirroring",
            "budget": settings.budget,
            "seed": seed,
            "device": device,
            "threads": threads,
            "dataset": DATASET,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def field_of(example: Example, prepared: Prepared) -> tuple[slice, slice, slice]:
    """The part of a scan that the training grid covers, (z, y, x)."""
    cuts = []
    for axis in range(3):
        index = prepared.grid.cell_index(
            example.shape[axis], example.spacing[axis], axis, example.offset
        )
        inside = np.flatnonzero((index >= 0) & (index < prepared.grid.shape[axis]))
        cuts.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(cuts)


def write_case(
    folder: Path,
    name: str,
    cohort: Cohort,
    example: Example,
    prepared: Prepared,
    candidates: bool = False,
) -> None:
    """One training scan and its labels in nnU-Net's raw format, cut to the field.

    With ``candidates``, all voxels but the candidates are labelled as ignored.
    """
    scan = cohort.load(example.id)
    cut, labels = field_of(example, prepared), scan.labels
    if candidates:
        labels = np.full(labels.shape, IGNORED, np.uint8)
        labels.reshape(-1)[example.candidates.voxel] = example.candidates.label
    parts = {"imagesTr": (f"{name}_0000", scan.voxels), "labelsTr": (name, labels)}
    for part, (file, array) in parts.items():
        write_image(folder / part / f"{file}.nii.gz", array[cut], example.spacing)


def write_image(path: Path, array: np.ndarray, spacing: Sequence[float]) -> None:
    """An array (z, y, x) with its voxel size in mm, in a folder that is made where it lacks."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(size) for size in reversed(spacing)])  # (x, y, z)
    sitk.WriteImage(image, str(path), True, compressionLevel=1)


def write_dataset(
    folder: Path, count: int, candidates: bool = False, channels: Sequence[str] = ("CT",)
) -> None:
    """nnU-Net's dataset.json; with ``candidates``, it has a label that is ignored."""
    values = {
        "channel_names": {str(place): name for place, name in enumerate(channels)},
        "labels": {**LABELS, "ignore": IGNORED} if candidates else LABELS,
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(values), encoding="utf-8")


def write_test(path: Path, cohort: Cohort, example: Example, prepared: Prepared) -> None:
    """One test scan, cut to the field, with the component of each candidate voxel in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = field_of(example, prepared)
    voxels = cohort.load(example.id).voxels[cut]
    components = np.zeros(example.shape, np.int32)
    components.reshape(-1)[example.candidates.voxel] = example.candidates.component
    flat = components[cut].reshape(-1)
    place = np.flatnonzero(flat)
    np.savez(
        path,
        voxels=voxels.astype(np.float32),
        spacing=np.asarray(example.spacing, np.float64),
        place=place,
        component=flat[place],
        count=example.candidates.count,
    )


def _classes(votes: np.ndarray) -> np.ndarray:
    """Class of each component from its summed log probabilities (n + 1, 4); unseen: background."""
    classes = np.argmax(votes, axis=1).astype(np.uint8)
    classes[~votes.any(axis=1)] = 0
    classes[0] = 0
    return classes


def environment(folder: Path, device: str, threads: int) -> dict[str, str]:
    """Environment variables of a child process: nnU-Net's folders and what it may use."""
    package_root = Path(__file__).resolve().parents[1]
    places = (str(package_root), os.environ.get("PYTHONPATH", ""))
    return {
        "nnUNet_raw": str(folder / "raw"),
        "nnUNet_preprocessed": str(folder / "preprocessed"),
        "nnUNet_results": str(folder / "results"),
        "nnUNet_compile": "f",
        "nnUNet_n_proc_DA": "1",
        "nnUNet_def_n_proc": str(max(1, threads)),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(part for part in places if part),
        **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}),
    }


def run_child(folder: Path, device: str, threads: int, report: Report | None) -> None:
    """Run `baselines.nnunet_child` on a job's folder, in an environment of its own.

    nnU-Net reads its folders from environment variables; those of this process stay as they are.

    Raises
    ------
    CellFailed
        If the child process fails.
    """
    values = {**os.environ, **environment(folder, device, threads)}
    command = [sys.executable, "-W", "ignore", "-m", nnunet_child.__name__, str(folder)]
    with (folder / "child.log").open("wb") as log:
        child = subprocess.Popen(
            command, env=values, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(child, folder, report)
        finally:
            if child.poll() is None:
                # its augmentation runs in processes of its own
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if child.returncode:
        text = (folder / "child.log").read_text(encoding="utf-8", errors="replace")
        fault = folder / FAULT
        words = fault.read_text(encoding="utf-8").strip() if fault.is_file() else ""
        words = words or f"its process ended with status {child.returncode}"
        raise CellFailed(f"nnU-Net: {words}", text[-20_000:])


def _wait(child: subprocess.Popen, folder: Path, report: Report | None) -> None:
    while child.poll() is None:
        time.sleep(0.2)
        if report is None:
            continue
        state = _read(folder / PROGRESS)
        if state:
            report(state["stage"], state["share"], state["loss"], state["left"])


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not there yet; files are replaced whole
