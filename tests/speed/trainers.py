"""nnU-Net's trainer beside our loop: one network, one patch, one batch, the same device-seconds.

The network is our 3D U-Net, on the training grid of the quick tier, whole scans as patches. All
else is the trainer's own: nnU-Net's preprocessing, sampling, augmentation (in a process of its
own), loss with cross entropy and Dice on all cells, optimiser and schedule, against our loop's.
Both networks then predict the same test scans in the same way, and F1 is the board's.

nnU-Net's Dice is a mean over scans, and an artery that a scan lacks and the network does not name
counts as right: patches being whole scans, of which most lack calcium of most arteries, the loss is
content with a network that names none. So there is a second round, which helps it twice: what is no
candidate is its ignored label, and Dice is that of the batch, a switch of its own plans. (Cells
outside a turned or shrunk scan remain background to it.)

nnU-Net reads its folders from environment variables: its side is a child process,
``python tests/speed/trainers.py FOLDER``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

NAME = "unet3d"
BUDGETS = (10, 20, 40)
"""Device-seconds of the trainings, each from the start."""
SECTION = "nnU-Net's trainer: same network, patch, batch and device-seconds"


def measure(
    budgets: tuple[int, ...] = BUDGETS, train: int = 260, test: int = 100, threads: int = 2
) -> list:
    """Steps a second and F1 whole of both, for each budget, and the time to the same F1."""
    import torch
    from ratio import Line
    from training_steps import tier

    from benchmark.methods import find
    from benchmark.metrics.overlap import pooled_ratios
    from benchmark.runs.sources import open_cohort, tier_split
    from benchmark.training.cell import run_cell
    from benchmark.training.prepare import prepare

    cohort = open_cohort()
    split = tier_split(cohort, train, test)
    cohort.prepare((*split.train, *split.test))
    prepared = prepare(cohort, split, tier())

    def run(budget: int, weights: dict | None = None):
        settings = replace(tier(), budget=f"{budget} s")
        result = run_cell(find(NAME), prepared, settings, 0, "cpu", threads, weights=weights)
        return float(pooled_ratios(result.tp, result.fp, result.fn)["F1"][0, 3]), result.ledger

    ours = {budget: run(budget) for budget in budgets}
    lines, longest = [], budgets[-1]
    for what, helped in (("as planned", False), ("candidates, batch Dice", True)):
        with tempfile.TemporaryDirectory(prefix="nnunet-") as name:
            folder = Path(name)
            write_job(folder, prepared, tier(), budgets, helped, threads)
            run_child(folder, threads)
            theirs = {}
            for budget in budgets:
                kept = torch.load(folder / f"{budget}.pt", weights_only=True)
                theirs[budget] = run(budget, kept["weights"])[0], kept["ledger"]
        ledgers = ours[longest][1], theirs[longest][1]
        for clock, key in (("device", "device_seconds"), ("wall clock", "wall_seconds")):
            rates = [ledger["steps"] / ledger[key] for ledger in ledgers]
            lines.append(
                Line(
                    SECTION,
                    f"steps a second of the {clock}, {what}",
                    f"{rates[0]:.1f}",
                    f"nnU-Net {rates[1]:.1f}",
                    rates[0] / rates[1],
                    "x",
                    floor=0.8,
                )
            )
        lines += [
            Line(
                SECTION,
                f"F1 whole after {budget} device-seconds, {what}",
                f"{ours[budget][0]:.3f}",
                f"nnU-Net {theirs[budget][0]:.3f}",
                ours[budget][0] - theirs[budget][0],
                "",
            )
            for budget in budgets
        ]
        if theirs[longest][0] == 0:
            continue  # no calcium found: nothing to be reached
        reached = [budget for budget in budgets if ours[budget][0] >= theirs[longest][0]]
        lines.append(
            Line(
                SECTION,
                f"device-seconds to nnU-Net's F1 after {longest}, {what}",
                f"{reached[0]} s" if reached else f"more than {longest} s",
                f"nnU-Net {longest} s",
                longest / reached[0] if reached else float("nan"),
                "x",
            )
        )
    return lines


def write_job(folder: Path, prepared, settings, budgets, helped: bool, threads: int) -> None:
    """The training grid's scans in nnU-Net's raw format, and what is to be done."""
    from baselines import nnunet

    raw, spacing = folder / "raw" / nnunet.DATASET, settings.cell_mm
    for place, example in enumerate(prepared.train):
        name = f"case_{place:05}"
        for channel, values in enumerate(example.image.astype(np.float32)):
            nnunet.write_image(raw / "imagesTr" / f"{name}_{channel:04}.nii.gz", values, spacing)
        target = example.target.astype(np.uint8)
        if helped:
            target = np.where(example.candidate, target, nnunet.IGNORED).astype(np.uint8)
        nnunet.write_image(raw / "labelsTr" / f"{name}.nii.gz", target, spacing)
    nnunet.write_dataset(raw, len(prepared.train), helped, channels=("noNorm",) * 3)
    job = {
        "planner": "ExperimentPlanner",
        "memory_gb": None,
        "features": None,
        "spacing": [float(size) for size in spacing],
        "seed": 0,
        "device": "cpu",
        "threads": threads,
        "dataset": nnunet.DATASET,
        "trainer": "nnUNetTrainerNoMirroring",
        "configuration": {
            "patch_size": list(prepared.grid.shape),
            "batch_size": settings.batch_size,
            **({"batch_dice": True} if helped else {}),
        },
        "width": settings.width,
        "budgets": list(budgets),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def run_child(folder: Path, threads: int) -> None:
    """nnU-Net's side, in a process of its own."""
    from baselines import nnunet

    environment = {**os.environ, **nnunet.environment(folder, "cpu", threads)}
    words = [sys.executable, "-W", "ignore", __file__, str(folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nnU-Net's side failed:\n{(done.stdout + done.stderr)[-5000:]}")


def child(folder: Path) -> None:
    """Plan and preprocess, then train for each budget; the weights and what was spent."""
    import torch
    from torch import nn

    from baselines import nnunet_child
    from baselines.unet3d import UNet3D

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    plans_name = nnunet_child.plan(job)
    grid = tuple(job["configuration"]["patch_size"])

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = UNet3D(grid, 3, job["width"])

        def forward(self, image):
            return self.network(image)["logits"]

    class Beside(nnunet_child.trainer_named(job["trainer"])):
        def __init__(self, plans, configuration, fold, dataset_json, device) -> None:
            super().__init__(plans, configuration, fold, dataset_json, device)
            self.enable_deep_supervision = False

        @staticmethod
        def build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels,
            enable_deep_supervision=True,
        ):  # fmt: skip
            return Logits()

        def set_deep_supervision_enabled(self, enabled) -> None:
            pass  # the network has one output

    for budget in job["budgets"]:
        trainer = nnunet_child.make_trainer(folder, job, plans_name, Beside)
        ledger = nnunet_child.train(trainer, folder, {**job, "budget": f"{budget} s"})
        kept = {key: ledger[key] for key in ("steps", "device_seconds", "wall_seconds")}
        weights = trainer.network.network.state_dict()
        torch.save({"weights": weights, "ledger": kept}, folder / f"{budget}.pt")
        for loader in (trainer.dataloader_train, trainer.dataloader_val):
            loader._finish()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    child(Path(sys.argv[1]))
