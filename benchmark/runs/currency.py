"""Whether what is kept is what the present code would make, and if not, which part of it differs.

A cell's key holds all that its result depends on. Here its parts are compared with what they would
be now: the network's code, the harness, library versions, and, as far as a run tells how it was
asked for, settings, cohort and split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.runs.finished import FinishedRun
from benchmark.runs.plan import LIBRARIES, harness_hash, library_versions
from benchmark.runs.request import Request, chosen_scale
from benchmark.runs.sources import COHORTS, open_cohort, tier_split
from benchmark.runs.store import Standing, Store
from benchmark.sources import is_own, read_code
from benchmark.suites.load import load_suite


@dataclass(frozen=True)
class Currency:
    """How a run stands.

    Attributes
    ----------
    stale : tuple of str
        What differs, ``"unet3d: the network's code"``; without a name where all cells share it.
    missing : int
        Cells that are not there.
    failed : int
    unchecked : tuple of str
        What could not be compared.
    """

    stale: tuple[str, ...]
    missing: int
    failed: int
    unchecked: tuple[str, ...]

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"{self.missing} not done")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"stale ({'; '.join(self.stale)})" if self.stale else "current")
        if self.unchecked:
            parts.append(f"not compared: {', '.join(self.unchecked)}")
        return ", ".join(parts)


class Present:
    """What the parts of a key would be now; each is found once."""

    def __init__(self) -> None:
        self._sources: dict[str, str | None] = {}
        self._plans: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {}

    def of_cell(self, standing: Standing) -> list[str]:
        """What differs between a cell's key and the present code and libraries."""
        if standing.state in ("old", "damaged", "closed"):
            return [standing.reason]
        key = standing.key
        found = []
        if key.get("source") != self._source(str(key.get("target")), key.get("imports") or []):
            found.append("the network's code")
        if key.get("harness") != harness_hash():
            found.append("the harness's code")
        names = dict.fromkeys([*LIBRARIES, *key.get("packages", {})])
        kept = {**key.get("versions", {}), **key.get("packages", {})}
        for name in names:
            now = _installed(name)
            if kept.get(name) != now:
                found.append(f"{name} {kept.get(name, 'unknown')}, now {now or 'not installed'}")
        return found

    def _source(self, target: str, found: list) -> str | None:
        """Hash of a network's code as it is now; its files are read and not imported."""
        memo = json.dumps([target, found])
        if memo not in self._sources:
            try:
                text = Method("", "", target, ()).source()
                if is_own(target):
                    code = read_code(target.rpartition(":")[0])
                    text = code.with_found({str(name): str(path) for name, path in found}).text
                self._sources[memo] = hashlib.sha256(text.encode()).hexdigest()
            except (UserError, SyntaxError, OSError, ValueError, TypeError):
                self._sources[memo] = None
        return self._sources[memo]

    def of_run(self, run: FinishedRun) -> tuple[list[str], list[str]]:
        """What differs between a run's plan and what its command would plan now; and what cannot be
        compared."""
        plan = run.plan
        asked = plan.get("asked")
        if asked is None:
            return [], ["settings, cohort and split (kept by an older version)"]
        memo = json.dumps([plan["suite"], plan["scale"], plan["cohort"]["name"], asked])
        if memo not in self._plans:
            self._plans[memo] = self._plan_now(plan, asked)
        now, unchecked = self._plans[memo]
        found = []
        if "settings" in now:
            mine, theirs = plan["settings"], json.loads(now["settings"])
            skipped = {"grid"} if "init" in plan else set()
            names = [n for n in theirs if mine.get(n) != theirs[n] and n not in skipped]
            found += [f"settings ({', '.join(names)})"] if names else []
        if "cohort" in now and now["cohort"] != plan["cohort"]["fingerprint"]:
            found.append("the cohort")
        if "split" in now and now["split"] != plan["split"]["hash"]:
            found.append("the split")
        return found, list(unchecked)

    def _plan_now(self, plan: dict, asked: dict) -> tuple[dict[str, str], tuple[str, ...]]:
        from benchmark.cohorts.split_choice import parse_choice

        now: dict[str, str] = {}
        try:
            suite = load_suite(plan["suite"])
            changes = tuple((str(key), str(value)) for key, value in asked["changes"])
            scale = chosen_scale(
                suite, plan["scale"], Request(suite=plan["suite"], changes=changes)
            )
        except (UserError, KeyError):
            return now, (f"settings, cohort and split (no suite {plan['suite']!r} here)",)
        now["settings"] = json.dumps(scale.settings.as_dict())
        if asked["own_scans"] or plan["cohort"]["name"] not in COHORTS:
            return now, ("cohort and split (scans of your own)",)
        spacing = asked["spacing"] if asked["spacing"] is not None else scale.spacing
        cohort = open_cohort(plan["cohort"]["name"], None, spacing)
        now["cohort"] = cohort.fingerprint()
        try:
            choice = parse_choice(asked["split"], asked["fold"], asked["split_seed"])
            exact = {key for key, _ in changes}
            now["split"] = tier_split(cohort, scale.train, scale.test, exact, choice).hash
        except UserError:
            now["split"] = "cannot be made"
        return now, ()


def currency(run: FinishedRun, present: Present | None = None) -> Currency:
    """How a run stands against the present code.

    Parameters
    ----------
    run : FinishedRun
    present : Present, optional
        Shared between runs.
    """
    present = present or Present()
    store = Store(run.folder.resolve().parents[1])
    reasons: dict[str, set[str]] = {}
    names, missing, failed = set(), 0, 0
    for entry in run.plan["cells"]:
        standing = store.standing(entry["folder"])
        if standing.state == "absent":
            missing += 1
            continue
        failed += standing.state == "failed"
        names.add(entry["method"])
        for reason in present.of_cell(standing):
            reasons.setdefault(reason, set()).add(entry["method"])
    shared, unchecked = present.of_run(run)
    stale = list(shared)
    for reason, methods in reasons.items():
        whose = "" if methods == names and len(names) > 1 else f"{', '.join(sorted(methods))}: "
        stale.append(f"{whose}{reason}")
    return Currency(tuple(stale), missing, failed, tuple(unchecked))


def changed_since(key: dict, method: Method) -> tuple[str, ...]:
    """What changed since a network was trained, in words; empty if nothing.

    Parameters
    ----------
    key : dict
        Of the cell.
    method : Method
        Of the class that its weights are loaded into.
    """
    changed = []
    if hashlib.sha256(method.source().encode()).hexdigest() != key.get("source"):
        changed.append("the network's code")
    if key.get("harness") != harness_hash():
        changed.append("the code that prepares scans")
    libraries = key.get("versions")
    if libraries is not None and libraries != library_versions():
        changed.append("a library that it computes with")
    return tuple(changed)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
