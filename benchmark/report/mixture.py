"""What may stand on one board: cells of one budget, recipe, split and cohort."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.errors import UserError
from benchmark.report.devices import device_classes
from benchmark.runs.joined_plan import Place, formats_of, places_of
from benchmark.runs.references import same_references
from benchmark.runs.store import KeptCell
from benchmark.training.settings import Budget


def refuse_mixture(
    plan: dict,
    cells: Iterable[KeptCell],
    places: dict[str, Place] | None = None,
    formats: dict[str, str] | None = None,
) -> None:
    """Raise UserError unless all cells were made under one budget, recipe, split and cohort.

    Cells are found by a hash of all these, so this fails only where files were moved or changed
    by hand, or where boards are put together.

    Parameters
    ----------
    plan : dict
    cells : iterable of KeptCell
    places : dict, optional
        Device and threads by method where they are not the plan's; by default as a joined plan
        has them.
    formats : dict, optional
        Number format by method, in the same way.
    """
    cells = tuple(cells)
    formats = formats_of(plan) if formats is None else formats
    places = places_of(plan) if places is None else places
    settled = {k: v for k, v in plan["settings"].items() if k != "options"}
    wanted = {
        "split": plan["split"]["hash"],
        "cohort": plan["cohort"]["fingerprint"],
    }
    for cell in cells:
        own = cell.key.get("settings", {})
        if own.get("budget") != settled["budget"]:
            raise UserError(
                f"{cell.folder}: budget {own.get('budget')} on a board of {settled['budget']}; "
                "methods are compared under one budget only"
            )
        device, threads = places.get(cell.method, (plan["device"], plan["threads"]))
        for name, value in {**wanted, "device": device, "threads": threads}.items():
            if cell.key.get(name) != value:
                raise UserError(
                    f"{cell.folder}: {name} {cell.key.get(name)} on a board of {value}; a board "
                    "holds one cohort, split, device and number of threads (`benchmark join` puts "
                    "several devices on one)"
                )
        recipe = settled
        if "precision" in settled:
            recipe = {**settled, "precision": formats.get(cell.method, settled["precision"])}
        for name, value in recipe.items():
            if own.get(name) != value:
                raise UserError(
                    f"{cell.folder}: {name} {own.get(name)} on a board of {value}; "
                    "a board holds one recipe"
                )
    finished = [cell for cell in cells if cell.state == "finished"]
    classes = device_classes(finished)
    if len(classes) > 1 and Budget.parse(settled["budget"]).unit == "device-seconds":
        few, *_ = sorted(classes, key=lambda name: len(classes[name]))
        raise UserError(
            f"{len(classes)} kinds of device on a board with a budget of device-seconds "
            f"({', '.join(classes)}): a second of one is not a second of another; remove "
            f"{', '.join(classes[few][:3])} and run again on one kind (--slurm constraint=...), "
            "or give a budget of steps, samples or flops"
        )
    for cell in finished[1:]:
        if not same_references(finished[0], cell):
            raise UserError(f"{cell.folder}: other test scans or reference scores than the board's")
