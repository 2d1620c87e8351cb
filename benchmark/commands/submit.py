"""``benchmark submit``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import click

from benchmark.commands.options import SEED
from benchmark.errors import UserError

PATH = click.Path(path_type=Path)
CHALLENGE_SCANS = {"training": 32, "test": 40}
"""Scans that the challenge gave out."""


@click.group()
def submit() -> None:
    """Make, check or score a submission to a challenge or a board."""


@submit.command()
@click.option("--run", metavar="RUN", help="Make one: a run's folder, its name, or a suite.")
@click.option("--check", type=PATH, metavar="FOLDER|ZIP", help="Check anybody's.")
@click.option(
    "--score",
    multiple=True,
    type=PATH,
    metavar="FOLDER|ZIP",
    help="Score on scans with a reference; several are drawn side by side.",
)
@click.option("--data", type=PATH, required=True, metavar="FOLDER", help="The challenge's scans.")
@click.option(
    "--out",
    type=PATH,
    metavar="FOLDER|ZIP",
    help="Of --run: what to write.  [default: orcascore.zip]  Of --score: folder for tables and "
    "figure 10.  [default: none written]",
)
@click.option(
    "--scans",
    type=click.Choice(["test", "training"]),
    help="Which scans.  [default: test; of --score training]",
)
@click.option("--names", default="{id}R", show_default=True, help="Of the maps, without suffix.")
@click.option("--inside", default="", metavar="FOLDER", help="Folder of the maps in the zip.")
@click.option("--method", help="Of --run: which network.  [default: mmwfanet, or the first]")
@click.option("--seed", type=SEED, help="Of --run.  [default: the first that finished]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option(
    "--runs",
    type=PATH,
    default=Path("results/runs"),
    show_default=True,
    metavar="FOLDER",
    help="Where runs are kept.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Processes that read scans.  [default: all cores]"
)
@click.option(
    "--min-lesion",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="MM3",
    help="Of --score: smaller components are no lesions.",
)
@click.option(
    "--majority",
    type=click.Choice(["labelled", "all"]),
    default="labelled",
    show_default=True,
    help="Of --score: which voxels of a component vote for its label.",
)
@click.option(
    "--connectivity",
    type=click.Choice(["8", "4"]),
    default="8",
    show_default=True,
    help="Of --score: voxels in a slice, for the lesions of the Agatston score.",
)
@click.option(
    "--min-area",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="MM2",
    help="Of --score: a slice's smaller lesions do not count for the scores.",
)
@click.option(
    "--thickness-correction/--no-thickness-correction",
    default=True,
    show_default=True,
    help="Of --score: scale Agatston by slice spacing / 3 mm.",
)
def orcascore(run, check, score, data, out, scans, names, inside, workers, **options) -> int:
    """Make (--run), check (--check) or score (--score) an orCaScore submission.

    A submission is one label map a scan, on the scan's own grid, as .mhd and .raw. --run writes
    nothing unless the whole passes the check. Exit status 1 says that there are faults.
    """
    if sum(bool(mode) for mode in (run, check, score)) != 1:
        raise UserError("say one of --run RUN, --check FOLDER|ZIP, --score FOLDER|ZIP")
    if check and out:
        raise UserError("--check writes nothing: leave --out away")
    from benchmark.challenge.maps import Naming
    from benchmark.cohorts.orcascore import OrcaScoreCohort
    from benchmark.cores import usable_cores

    naming = Naming(names, inside.strip("/"))
    workers = workers or usable_cores()
    cohort = OrcaScoreCohort(data)
    for line in cohort.passed_over:
        _warn(line)
    part = scans or ("training" if score else "test")
    ids = tuple(id for id in cohort.ids if id.startswith({"test": "TE", "training": "TR"}[part]))
    if not ids:
        raise UserError(
            f"{data}: holds no {part} scan (a name like "
            f"{'TE' if part == 'test' else 'TR'}V1P1CTI.mhd is expected); see --scans"
        )
    if score:
        return _score(score, cohort, ids, naming, out, workers, options)
    if len(ids) != CHALLENGE_SCANS[part]:
        _warn(f"{data}: {len(ids)} {part} scans; the challenge gave out {CHALLENGE_SCANS[part]}")
    if run:
        return _make(run, cohort, ids, naming, out or Path("orcascore.zip"), workers, options)
    return _check(check, cohort, ids, naming, workers)


@submit.command()
@click.option("--from", "source", type=PATH, metavar="FOLDER|TABLE", help="Make one of these.")
@click.option("--check", type=PATH, metavar="FOLDER", help="Check anybody's.")
@click.option(
    "--data", "public", type=PATH, required=True, metavar="PUBLIC", help="The board's public part."
)
@click.option("--out", type=PATH, metavar="FOLDER", help="Of --from: a new folder.")
@click.option("--system", help="Of --from: name of the row.")
@click.option("--team", help="Of --from: who sends it.")
@click.option("--training", metavar="TEXT", help="Of --from: on what the system was trained.")
@click.option("--columns", type=click.Choice(["mask", "head"]), help="Of a table that has both.")
def board(source, check, public, out, system, team, training, columns) -> int:
    """Make (--from) or check (--check) a submission to a board with hidden labels.

    What is sent in is predictions and never code: a folder of label maps or a CSV table of scores,
    with a manifest (see docs/hidden.md). Exit status 1 says that --check found faults.
    """
    if (source is None) == (check is None):
        raise UserError("say one of --from FOLDER|TABLE and --check FOLDER")
    from benchmark.hidden.submission import find_faults, make_submission

    if check is not None:
        with _counting("scans checked") as progress:
            faults = list(find_faults(check, public, progress))
        for line in faults:
            click.echo(f"fault: {' '.join(line.split())}", err=True)
        if faults:
            click.echo(f"{check}: {_counted(len(faults), 'fault')}; do not send it")
            return 1
        click.echo(f"{check}: no fault found")
        return 0
    given = {"--out": out, "--system": system, "--team": team, "--training": training}
    lacking = [name for name, value in given.items() if not value]
    if lacking:
        raise UserError(f"--from needs {lacking[0]} too")
    with _counting("scans checked") as progress:
        made = make_submission(source, public, out, system, team, training, columns, progress)
    click.echo(f"written: {out} ({made.kind}, {_counted(len(made.files), 'file')})")
    return 0


def _make(run, cohort, ids, naming, out, workers, options) -> int:
    from benchmark.challenge.build import build_submission
    from benchmark.prediction import load_predictor

    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: is there already; remove it or name another --out")
    predictor = load_predictor(
        run, options["method"], options["seed"], options["runs"], options["device"]
    )
    if "mask" not in predictor.outputs:
        raise UserError(f"{predictor.title} gives scores and no labels; name another by --method")
    click.echo(f"{predictor.title}, seed {predictor.seed}")
    for note in predictor.notes:
        _warn(note)
    with _counting("scans labelled") as progress:
        report = build_submission(predictor, cohort, ids, out, naming, progress, workers)
    _tell(report)
    if report.faults:
        click.echo(f"nothing written: {_counted(len(report.faults), 'fault')}")
        return 1
    click.echo(f"written: {out} ({_maps(report)})")
    return 0


def _check(path, cohort, ids, naming, workers) -> int:
    from benchmark.challenge.checker import check_submission

    with _counting("scans checked") as progress:
        report = check_submission(path, cohort, ids, naming, progress, workers)
    _tell(report)
    if report.faults:
        click.echo(f"{path}: {_counted(len(report.faults), 'fault')}; do not send it")
        return 1
    click.echo(f"{path}: no fault found ({_maps(report)})")
    return 0


def _score(paths, cohort, ids, naming, out, workers, options) -> int:
    from benchmark.calcium import Conventions
    from benchmark.challenge.score import figure_table, score_submission
    from benchmark.challenge.scorer import Rules

    free = set(cohort.unlabelled)
    ids = tuple(id for id in ids if id not in free)
    conventions = Conventions(
        in_plane_connectivity=int(options["connectivity"]),
        min_area_mm2=options["min_area"],
        thickness_correction=options["thickness_correction"],
    )
    rules = Rules(conventions, options["min_lesion"], options["majority"])
    names = [path.resolve().name.removesuffix(".zip") for path in paths]
    if len(set(names)) < len(names):
        raise UserError("two submissions of one name; give them names that differ")
    found = []
    for path, name in zip(paths, names, strict=True):
        with _counting(f"{name}: scans scored") as progress:
            scored = score_submission(path, cohort, ids, naming, rules, name, progress, workers)
        for line in scored.remarks:
            _warn(line)
        for line in (*scored.worst, *scored.unscored):
            click.echo(f"fault: {line}", err=True)
        click.echo(f"{name}, {_counted(len(scored.patients), 'patient')}:")
        click.echo(figure_table(scored))
        found.append(scored)
    click.echo("* figure 10. In brackets: 95 % intervals, bootstrap over patients.")
    if ids[0].startswith("TR"):
        click.echo("Training scans: what was trained or tuned on them does better here than it is.")
    if out is not None:
        from benchmark.figures.challenge import challenge_figure

        for written in challenge_figure(found, out):
            click.echo(f"written: {written}")
    return 1 if any(scored.worst or scored.unscored for scored in found) else 0


def _tell(report) -> None:
    for line in report.warnings:
        _warn(line)
    for line in report.faults:
        click.echo(f"fault: {' '.join(line.split())}", err=True)


def _warn(line: str) -> None:
    click.echo(f"warning: {' '.join(line.split())}", err=True)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _maps(report) -> str:
    lesions = sum(report.lesions.values())
    return f"{_counted(len(report.lesions), 'label map')}, {_counted(lesions, 'lesion')}"


@contextmanager
def _counting(what: str):
    from benchmark.report.consoles import make_console
    from benchmark.runs.display import Display, LiveDisplay

    console = make_console()
    display = LiveDisplay(console) if console.is_terminal else Display(console)
    with display.counting(what) as progress:
        yield progress
