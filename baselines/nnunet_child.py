"""The child process of `baselines.nnunet`: plan, preprocess, train under a budget, predict.

``python -m baselines.nnunet_child FOLDER`` reads job.json, raw/ and test/ there and writes out/,
ledger.json and progress.json. nnU-Net's own folders come from environment variables.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

CONFIGURATION = "3d_fullres"
EPOCHS = 1000
"""nnU-Net's own number, over which its learning rate falls; here the spent share counts."""

SMALLEST_PROBABILITY = 1e-4
"""As in `benchmark.inference`."""


def main(folder: Path) -> None:
    """Do the job of a folder."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    plans_name = plan(job)
    trainer = make_trainer(folder, job, plans_name)
    ledger = train(trainer, folder, job)
    begin = time.perf_counter()
    predict(trainer, folder, job)
    ledger["evaluation_seconds"] = round(time.perf_counter() - begin, 3)
    write_json(folder / "ledger.json", ledger)


def plan(job: dict) -> str:
    """Fingerprint, plan and preprocess the raw dataset; the name of the plans."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiment_dataset,
        preprocess,
    )

    workers = job["threads"]
    extract_fingerprints([1], num_processes=workers, show_progress_bar=False)
    _, name = plan_experiment_dataset(
        1,
        planner_of(job["planner"], job["features"]),
        gpu_memory_target_in_gb=job["memory_gb"],
        overwrite_target_spacing=job["spacing"],
    )
    # values of the plan that the job sets otherwise
    path = Path(os.environ["nnUNet_preprocessed"]) / job["dataset"] / f"{name}.json"
    plans = json.loads(path.read_text(encoding="utf-8"))
    plans["configurations"][CONFIGURATION] |= job["configuration"]
    write_json(path, plans)
    preprocess(
        [1], name, configurations=[CONFIGURATION], num_processes=[workers], show_progress_bar=False
    )
    return name


def planner_of(name: str, features: int | None) -> type:
    """nnU-Net's planner of that name, whose networks begin with so many features (None: its own).

    Raises
    ------
    Fault
        If nnU-Net has no such planner.
    """
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    found = recursive_find_python_class(
        os.path.join(nnunetv2.__path__[0], "experiment_planning"),
        name,
        "nnunetv2.experiment_planning",
    )
    if found is None:
        raise Fault(f"it has no experiment planner {name!r}")
    if features is None:
        return found

    class Narrow(found):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            self.UNet_base_num_features = features

    Narrow.__name__ = name  # the plans hold it
    return Narrow


def trainer_named(name: str) -> type:
    """nnU-Net's trainer of that name."""
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    return recursive_find_python_class(
        os.path.join(nnunetv2.__path__[0], "training", "nnUNetTrainer"),
        name,
        "nnunetv2.training.nnUNetTrainer",
    )


def make_trainer(folder: Path, job: dict, plans_name: str, kind: type | None = None):
    """nnU-Net's trainer for these plans, with all training scans in its one fold.

    Parameters
    ----------
    folder, job, plans_name
        As `main` has them.
    kind : type, optional
        In place of the trainer that the job names.
    """
    import torch

    random.seed(job["seed"])
    np.random.seed(job["seed"] % 2**32)  # noqa: NPY002 nnU-Net draws from the global generator
    torch.manual_seed(job["seed"])
    torch.set_num_threads(job["threads"])
    base = folder / "preprocessed" / job["dataset"]
    plans = json.loads((base / f"{plans_name}.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False
    dataset = json.loads((folder / "raw" / job["dataset"] / "dataset.json").read_text("utf-8"))
    names = sorted(p.name.removesuffix(".nii.gz") for p in (base / "gt_segmentations").iterdir())
    # nnU-Net wants validation cases; nothing is chosen by them
    write_json(base / "splits_final.json", [{"train": names, "val": names[:1]}])
    device = torch.device("cuda" if job["device"] == "cuda" else "cpu")
    kind = kind or trainer_named(job["trainer"])
    trainer = kind(plans, CONFIGURATION, 0, dataset, device)
    trainer.num_epochs = EPOCHS
    trainer.disable_checkpointing = True
    trainer.initialize()
    trainer.on_train_start()
    return trainer


def train(trainer, folder: Path, job: dict) -> dict:
    """Steps of nnU-Net's own until the budget is spent; the ledger."""
    from benchmark.contract import parameter_count
    from benchmark.training.clock import DeviceClock, PeakMemory, Spending
    from benchmark.training.machine import machine
    from benchmark.training.settings import Budget

    memory = PeakMemory(trainer.device)
    began = time.perf_counter()
    clock = DeviceClock(trainer.device, job["threads"])
    spending = Spending(Budget.parse(job["budget"]), clock)
    trainer.network.train()
    batch = next(trainer.dataloader_train)
    flops = warm_up(trainer, batch)
    curve, smooth, waiting, last = [], None, 0.0, 0.0
    # one step at least, as every method takes
    while not spending.steps or spending.fraction < 1 - 1e-9:
        trainer.lr_scheduler.step(int(min(spending.fraction, 1.0) * (EPOCHS - 1)))
        start = time.perf_counter()
        batch = next(trainer.dataloader_train)
        waiting += time.perf_counter() - start
        with clock:
            loss = float(trainer.train_step(batch)["loss"])
        spending.add(1, len(batch["data"]), flops)
        if not np.isfinite(loss):
            raise Fault(f"loss became {loss} at step {spending.steps}")
        smooth = loss if smooth is None else 0.9 * smooth + 0.1 * loss
        now = time.perf_counter()
        if now - last > 0.5:
            last = now
            share = min(spending.fraction, 1.0)
            curve.append(("training", round(share, 5), spending.samples, smooth))
            left = (now - began) * (1 - share) / max(share, 1e-6)
            state = {"stage": "training", "share": share, "loss": smooth, "left": left}
            write_json(folder / "progress.json", state)
    curve.append(("training", 1.0, spending.samples, smooth))
    spent = spending.as_dict()
    configuration = trainer.configuration_manager
    stage = {
        "name": "training",
        "share": 1.0,
        "learning_rate": trainer.initial_lr,
        "batch_size": configuration.batch_size,
        "patch": list(configuration.patch_size),
        "spacing_mm": [float(s) for s in configuration.spacing],
        "adversary": False,
        "on_kept_features": False,
        "flops_per_step": flops,
        **spent,
    }
    return {
        **spent,
        "step_seconds": round(spent["device_seconds"] / spent["steps"], 4),
        "flops_per_step": flops,
        "stages": [stage],
        "data_seconds": round(waiting, 3),
        "wall_seconds": round(time.perf_counter() - began, 3),
        "peak_memory_bytes": memory.bytes(),
        "parameters": parameter_count(trainer.network),
        "curve": curve,
        **machine(trainer.device, job["threads"]),
    }


def warm_up(trainer, batch: dict) -> float:
    """One step outside the clock, undone; its floating point operations."""
    from torch.utils.flop_counter import FlopCounterMode

    network = copy.deepcopy(trainer.network.state_dict())
    optimiser = copy.deepcopy(trainer.optimizer.state_dict())
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch)
    trainer.network.load_state_dict(network)
    trainer.optimizer.load_state_dict(optimiser)
    return float(counter.get_total_flops())


def in_pairs(network) -> list:
    """Let a network see each batch twice and answer once; the hooks, to be removed.

    PyTorch's 3D convolution of a single sample leaves oneDNN for small inputs, and then takes four
    times as long as one of two samples.
    """
    import torch

    return [
        network.register_forward_pre_hook(lambda _, inputs: (torch.cat([*inputs, *inputs]),)),
        network.register_forward_hook(lambda _, inputs, output: output[: len(output) // 2]),
    ]


def predict(trainer, folder: Path, job: dict) -> None:
    """Summed log probabilities (components + 1, 4) of every test scan, by nnU-Net's predictor."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    if trainer.device.type == "cpu":
        in_pairs(trainer.network)
    predictor = nnUNetPredictor(
        tile_step_size=job["tile_step"],
        use_mirroring=trainer.inference_allowed_mirroring_axes is not None,
        perform_everything_on_device=job["device"] == "cuda",
        device=trainer.device,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        job["trainer"],
        trainer.inference_allowed_mirroring_axes,
    )
    out = folder / "out"
    out.mkdir()
    paths = sorted((folder / "test").glob("*.npz"))
    began = time.perf_counter()
    for done, path in enumerate(paths):
        with np.load(path, allow_pickle=False) as case:
            _, shares = predictor.predict_single_npy_array(
                case["voxels"][None],
                {"spacing": case["spacing"].tolist()},
                save_or_return_probabilities=True,
            )
            # (4, z, y, x) -> (4, candidate voxels)
            logs = np.log(np.maximum(shares.reshape(4, -1)[:, case["place"]], SMALLEST_PROBABILITY))
            size = int(case["count"]) + 1
            votes = [np.bincount(case["component"], weights=row, minlength=size) for row in logs]
        np.save(out / f"{path.stem}.npy", np.stack(votes, axis=1))
        left = (time.perf_counter() - began) / (done + 1) * (len(paths) - done - 1)
        state = {"stage": "prediction", "share": 1.0, "loss": 0.0, "left": left}
        write_json(folder / "progress.json", state)


class Fault(Exception):
    """Something of the network's own; the message is for the board."""


def write_json(path: Path, values: object) -> None:
    """Write a file whole, since the parent reads while this process writes."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(values), encoding="utf-8")
    os.replace(draft, path)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        main(place)
    except Exception as error:
        message = " ".join(str(error).split())[:300]
        words = message if isinstance(error, Fault) else f"{type(error).__name__}: {message}"
        (place / "fault.txt").write_text(words, encoding="utf-8")
        raise
