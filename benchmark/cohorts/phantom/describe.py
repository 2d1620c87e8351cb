"""`data describe` of a phantom cohort: measured on kept scans and on planned people."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmark.cohorts.phantom.cohort import PhantomCohort
from benchmark.phantom import Drawing, plan
from benchmark.phantom.describe import Row, calcium, ceiling, image, measure, probed, rows
from benchmark.phantom.probes import collect, probe

#: Fewest people whose deposits the probes can learn from.
FEWEST_PROBED = 60
#: Fewest scans whose numbers are judged: of fewer, chance moves shares by more than the targets.
FEWEST_JUDGED = 300


def describe(
    cohort: PhantomCohort,
    ids: Iterable[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Compare scans of the phantom with the targets of real scans and of the literature.

    All is measured in voxels and labels, except what no label tells: where other calcium was put,
    the fat's volume, and the probes, which are taken from the same people's plans.

    Parameters
    ----------
    cohort : PhantomCohort
        Where the scans come from.
    ids : iterable of str
        Scans to look at.
    progress : callable, optional
        Called as ``progress(done, total)``; each person counts twice, for scan and probe.

    Returns
    -------
    list of Row
    """
    wanted = list(ids)
    facts = []

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, 2 * len(wanted))

    for id in wanted:
        patient = cohort.patient(id)
        scan = cohort.load(id)
        owners = cohort.owners(id)
        drawn = Drawing(scan.voxels, scan.spacing, scan.labels, owners, plan(patient).heart_centre)
        facts.append(measure(patient, drawn))
        tell(len(facts))
    found = {**image(facts), **calcium(facts), **ceiling(facts)}
    if len(wanted) >= FEWEST_PROBED:
        sites = collect(
            (cohort.patient(id) for id in wanted), lambda done: tell(len(wanted) + done)
        )
        found |= probed(sites, probe(sites))
    return rows(found, cohort.recipe.protocol == "gated", len(wanted) >= FEWEST_JUDGED)
