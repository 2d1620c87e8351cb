"""Which figures a run can give, and drawing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from benchmark.cohorts.base import Cohort
from benchmark.errors import UserError
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

FIGURES: dict[str, str] = {
    "fig4": "both tasks against the weights omega of the loss",
    "fig5": "both tasks against the weights lambda of the regularisers",
    "fig6": "overlays on slices, estimate against reference",
    "fig7": "Bland-Altman plots and the confusion of risk categories",
    "fig8": "Grad-CAM of the views' features and of the fused ones",
    "fig9": "pairwise performance gain of learning both tasks together",
}
"""Every figure that a run may give; 1 to 3 are drawings, and 10 is of the challenge's scans."""

NEEDS_SCANS = ("fig6", "fig8")

Source = Cohort | Callable[[], Cohort] | None


def available(run: FinishedRun, cells: Iterable[KeptCell], cohort: Source = None) -> dict[str, str]:
    """Say of each figure why this run cannot give it; an empty text where it can.

    Nothing is drawn and no scan is loaded, so figures 6 and 8 may still turn out impossible
    (see `make_figures`).

    Parameters
    ----------
    run, cells : FinishedRun, iterable of KeptCell
    cohort : Cohort or callable, optional
        See `make_figures`.
    """
    cells = tuple(cells)
    reasons = {}
    for name in FIGURES:
        try:
            _check(name, run, cells, cohort)
            reasons[name] = ""
        except UserError as error:
            reasons[name] = str(error)
    return reasons


def _check(name: str, run: FinishedRun, cells: tuple[KeptCell, ...], cohort: Source) -> None:
    from benchmark.figures.gain import find_models
    from benchmark.figures.weights import LAMBDA_1, LAMBDA_2, OMEGA, sweep_methods

    if not any(cell.state == "finished" for cell in cells):
        raise UserError(f"{run.folder}: not one method finished, so there is nothing to draw")
    if name in NEEDS_SCANS and cohort is None:
        raise UserError("needs the scans, and no cohort was given")
    if name == "fig4":
        sweep_methods(run.plan, OMEGA)
    elif name == "fig5":
        try:
            sweep_methods(run.plan, LAMBDA_1)
        except UserError:
            sweep_methods(run.plan, LAMBDA_2)
    elif name == "fig9":
        find_models(run, cells)


def make_figures(
    run: FinishedRun,
    cells: Iterable[KeptCell],
    folder: Path,
    which: Iterable[str] | None = None,
    progress: Callable[[str], None] | None = None,
    *,
    cohort: Source = None,
    methods: Iterable[str] | None = None,
    segmentation: str = "F1",
    scores: str = "ICC",
    target: str = "whole",
    interval: str = "bootstrap",
) -> list[Path]:
    """Draw the figures of a run.

    Parameters
    ----------
    run, cells : FinishedRun, iterable of KeptCell
    folder : Path
    which : iterable of str, optional
        Some of `FIGURES`; by default all that the run can give.
    progress : callable, optional
        Called with one line for each figure: that it is drawn, or why it is not.
    cohort : Cohort or callable, optional
        The scans, for figures 6 and 8; a callable is asked when the first of them is drawn.
    methods : iterable of str, optional
        Whose figure 7; the first trained method by default.
    segmentation, scores : str
        Measures of figure 9, see `benchmark.figures.gain.measure_gains`.
    target, interval : str
        Of figure 7, see `benchmark.figures.agreement.score_agreement`.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    UserError
        If a figure asked for by name is unknown or cannot be made.
    """
    cells, folder = tuple(cells), Path(folder)
    names = tuple(FIGURES) if which is None else check_names(which)
    say = progress or (lambda line: None)
    scans = _Scans(run, cohort)
    if which is not None:  # what cannot be drawn is said before anything is
        for name in names:
            try:
                _check(name, run, cells, cohort)
            except UserError as error:
                raise UserError(f"{name}: {error}") from None
    written = []
    for name in names:
        try:
            _check(name, run, cells, cohort)
            say(f"{name}: {FIGURES[name]}")
            if name == "fig4":
                from benchmark.figures.weights import omega_figures

                files = omega_figures(run, cells, folder)
            elif name == "fig5":
                from benchmark.figures.weights import lambda_figures

                files = lambda_figures(run, cells, folder)
            elif name == "fig6":
                from benchmark.figures.overlays import overlay_figures

                files = overlay_figures(run, cells, folder, scans())
            elif name == "fig7":
                from benchmark.figures.agreement import agreement_figures

                files = agreement_figures(run, cells, folder, methods, target, interval)
            elif name == "fig8":
                from benchmark.figures.attention import attention_figures

                files = attention_figures(run, cells, folder, scans())
            else:
                from benchmark.figures.gain import gain_figures

                files = gain_figures(run, cells, folder, segmentation, scores)
        except UserError as error:
            if which is not None:
                raise UserError(f"{name}: {error}") from None
            say(f"{name}: not drawn: {error}")
            continue
        written += files
    return written


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Figure names without repetition; ``9`` is taken for ``fig9``.

    Raises
    ------
    UserError
        If one is unknown.
    """
    from benchmark.suites.schema import nearest

    found = {}
    for name in names:
        full = f"fig{name}" if name.isdigit() else name
        if full not in FIGURES:
            raise UserError(
                f"unknown figure {name!r}{nearest(full, FIGURES)} (there are: {', '.join(FIGURES)})"
            )
        found[full] = None
    return tuple(found)


class _Scans:
    """The cohort of a run, opened and checked once."""

    def __init__(self, run: FinishedRun, source: Source) -> None:
        self.run, self.source, self.cohort = run, source, None

    def __call__(self) -> Cohort:
        if self.cohort is None:
            cohort = self.source if isinstance(self.source, Cohort) else self.source()
            wanted = self.run.plan["cohort"]
            if cohort.fingerprint() != wanted["fingerprint"]:
                raise UserError(
                    f"cohort {cohort.name} is not the one of {self.run.folder} "
                    f"({wanted['name']}, {wanted['fingerprint'][:12]}): give the same --data or "
                    "--spacing as the run had"
                )
            self.cohort = cohort
        return self.cohort
