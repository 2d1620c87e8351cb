"""What each method spent, and what it measured of itself."""

from __future__ import annotations

import math

from benchmark.report.board import Row, number

HEADINGS = (
    "method",
    "device-seconds",
    "steps",
    "samples",
    "TFLOP",
    "parameters",
    "GFLOP/step",
    "ms/step",
    "peak MB",
    "wall s",
    "stages (share x learning rate)",
)

_OF_TRAINING = frozenset(
    {"device_seconds", "steps", "samples", "flops", "flops_per_step", "step_seconds"}
    | {"apart_steps", "apart_samples"}
    | {"wall_seconds", "stages"}
)
"""Ledger entries that say nothing of a network that was only tested."""


def spent_cells(row: Row) -> tuple[str, ...]:
    """One row of the table, as text; an en dash where the ledger has no entry.

    A network tested with another's weights spent nothing itself: ``as`` that one, not zero.
    """
    source = taken_from(row)
    spent = {k: v for k, v in row.spent.items() if not (source and k in _OF_TRAINING)}

    def show(name: str, scale: float = 1.0, digits: int = 0) -> str:
        value = spent.get(name)
        return "–" if not isinstance(value, int | float) else f"{value * scale:,.{digits}f}"

    return (
        row.title,
        f"as {source}" if source else show("device_seconds", 1, 1),
        _counted(spent, "steps", show("steps")),
        _counted(spent, "samples", show("samples")),
        show("flops", 1e-12, 2),
        show("parameters"),
        show("flops_per_step", 1e-9, 2),
        show("step_seconds", 1e3, 1),
        show("peak_memory_bytes", 1e-6),
        show("wall_seconds", 1, 0),
        stages(spent.get("stages") or ()),
    )


def _counted(spent: dict, name: str, whole: str) -> str:
    """``"2,095 + 390 apart"``: what the budget counts, and what comes on top of it."""
    beside = spent.get(f"apart_{name}") or 0
    if not beside or not isinstance(spent.get(name), int | float):
        return whole
    return f"{spent[name] - beside:,.0f} + {beside:,.0f} apart"


def taken_from(row: Row) -> str:
    """Whose weights the row was tested with; empty if it was trained itself."""
    return str(row.spent.get("weights_from") or "")


def diagnostics(values: dict[str, float | None]) -> str:
    """``"autoencoder dice .412 (first seed)"``: what a network measured of itself in training."""
    parts = []
    for name, value in values.items():
        known = isinstance(value, int | float) and math.isfinite(value)
        parts.append(f"{name.replace('_', ' ')} {number(value) if known else 'undefined'}")
    return f"{', '.join(parts)} (first seed)"


def stages(declared) -> str:
    """``"masks 0.80, head 0.20 x3 (adversary)"``: what a method declares beyond the recipe."""
    parts = []
    for stage in declared:
        text = str(stage.get("name", "training"))
        if isinstance(stage.get("share"), int | float):
            text += f" {stage['share']:.2f}"
        multiple = stage.get("learning_rate_multiple", 1.0)
        if multiple != 1.0:
            text += f" x{multiple:g}"
        extra = [
            word
            for word, key in (("adversary", "adversary"), ("on kept features", "on_kept_features"))
            if stage.get(key)
        ]
        if stage.get("trials"):
            extra.append(f"{stage['trials']} trials")
        if pace := stage.get("steps_per_second"):
            extra.append(f"{pace['whole']:.3g} steps/s, {pace['first']:.3g} at its start")
        if terms := stage.get("gradient_shares"):
            listed = ", ".join(f"{name} {share:.1%}" for name, share in terms.items())
            extra.append(f"gradient half way: {listed}")
        parts.append(text + (f" ({', '.join(extra)})" if extra else ""))
    return ", ".join(parts)


SLOWER = 0.9
"""A stage's steps a device-second over those at its start, below which the board says so."""

SHORT_STAGE = 5.0
"""Device-seconds below which a stage's rate is no more than chance."""


def slowed(seed: int, ledger: dict) -> list[str]:
    """Notes on the stages of a training whose device-seconds bought fewer steps as it went on."""
    found = []
    for stage in ledger.get("stages") or ():
        pace = stage.get("steps_per_second") or {}
        long = stage.get("device_seconds", 0.0) >= SHORT_STAGE
        if pace and long and pace["whole"] < SLOWER * pace["first"]:
            fall = 1 - pace["whole"] / pace["first"]
            found.append(
                f"seed {seed}, stage {stage.get('name', 'training')}: a device-second bought "
                f"{fall:.0%} fewer steps over the whole stage than at its start; other work on the "
                "machine took what the budget counts, so run it again on an idle one"
            )
    return found
