"""The table of what each method spent."""

from __future__ import annotations

from benchmark.report.board import Row

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


def spent_cells(row: Row) -> tuple[str, ...]:
    """One row of the table, as text; an en dash where the ledger has no entry."""
    spent = row.spent

    def show(name: str, scale: float = 1.0, digits: int = 0) -> str:
        value = spent.get(name)
        return "–" if not isinstance(value, int | float) else f"{value * scale:,.{digits}f}"

    return (
        row.title,
        show("device_seconds", 1, 1),
        show("steps"),
        show("samples"),
        show("flops", 1e-12, 2),
        show("parameters"),
        show("flops_per_step", 1e-9, 2),
        show("step_seconds", 1e3, 1),
        show("peak_memory_bytes", 1e-6),
        show("wall_seconds", 1, 0),
        stages(spent.get("stages") or ()),
    )


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
        parts.append(text + (f" ({', '.join(extra)})" if extra else ""))
    return ", ".join(parts)
