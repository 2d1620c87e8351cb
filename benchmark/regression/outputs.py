"""What a check found, for machines: JUnit XML, annotations of GitHub, a Markdown summary."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from benchmark.regression.checking import Checked
from benchmark.regression.judging import GAINED, OPEN, Finding, text, unguarded
from benchmark.regression.lines import figures_table, verdict_line
from benchmark.regression.table import Name
from benchmark.report import markdown

ANNOTATIONS = 10
"""Errors of one step that GitHub shows."""


def as_junit(found: Checked) -> str:
    """JUnit XML, one test case for each figure and cost."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"benchmark check {found.suite}",
        tests=str(len(found.findings)),
        failures=str(len(found.faults)),
        errors="0",
        skipped=str(sum(f.verdict == OPEN for f in found.findings)),
    )
    for finding in found.findings:
        name = finding.name
        group, title = (
            (f"{name.method}.{name.source}", f"{name.metric} {name.target}")
            if isinstance(name, Name)
            else (finding.kind, str(name))
        )
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_printable(f"{found.suite}.{group}"),
            name=_printable(title),
        )
        if finding.fault:
            message = _printable(finding.message)
            failure = ElementTree.SubElement(case, "failure", type=finding.verdict, message=message)
            failure.text = message
        elif finding.verdict == OPEN:
            ElementTree.SubElement(case, "skipped", message=_printable(finding.message))
        elif finding.message:
            ElementTree.SubElement(case, "system-out").text = _printable(finding.message)
    if found.sample:
        ElementTree.SubElement(suite, "system-out").text = _printable(found.sample)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_annotations(found: Checked) -> list[str]:
    """Workflow commands of GitHub: an error for each fault, a notice for what got better."""
    faults = found.faults
    shown = faults if len(faults) <= ANNOTATIONS else faults[: ANNOTATIONS - 1]
    lines = [_command("error", found, f.verdict, f.message) for f in shown]
    if len(shown) < len(faults):
        more = f"and {len(faults) - len(shown)} more; the summary has all"
        lines.append(_command("error", found, "more", more))
    better = [f.message for f in found.findings if f.verdict == GAINED]
    if better:
        words = "\n".join((f"{len(better)} better than the baseline's noise explains:", *better))
        lines.append(_command("notice", found, GAINED, words))
    return lines


def _command(level: str, found: Checked, title: str, message: str) -> str:
    """See GitHub's "Workflow commands": %, line ends, and in properties : and , are escaped."""

    def escape(words: str) -> str:
        return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    title = escape(f"benchmark check {found.suite}, {title}")
    title = title.replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{escape(message)}"


def as_markdown(found: Checked) -> str:
    """The summary: verdict, what fails, the table, and every figure folded away."""
    parts = [f"## benchmark check, suite {found.suite}", f"**{verdict_line(found)}**"]
    if found.faults:
        parts.append("### Failed")
        parts.append(markdown.bullets(f.message for f in found.faults))
    better = [f for f in found.findings if f.verdict == GAINED]
    if better:
        parts.append("### Better than the noise explains (not a failure)")
        parts.append(markdown.bullets(f.message for f in better))
    heads, rows = figures_table(found)
    if rows:
        parts += [
            "### Now, and the worst that passes",
            markdown.table(heads, rows, left=len(heads)),
        ]
    rows = [_row(f) for f in found.findings]
    heads = ("figure", "baseline", "now", "worst that passes", "verdict")
    listed = markdown.table(heads, rows, left=len(heads))
    parts.append(f"<details><summary>All {len(rows)} figures</summary>\n\n{listed}\n\n</details>")
    entry = found.baseline.entry
    if found.sample:
        parts.append(f"Scans: {markdown.text(found.sample)}.")
    parts.append(
        f"Baseline {found.path}, made {entry.date} at commit {entry.commit}: "
        f"{markdown.text(entry.reason)}"
    )
    return "\n\n".join(parts) + "\n"


def _row(finding: Finding) -> tuple[str, ...]:
    def show(value: float) -> str:
        return "–" if math.isnan(value) else text(finding.name, value)

    now = text(finding.name, finding.value) if isinstance(finding.name, Name) else None
    verdict = finding.verdict + (" (too noisy to fall)" if unguarded(finding) else "")
    return (
        str(finding.name),
        show(finding.baseline),
        now or show(finding.value),
        show(finding.limit),
        verdict,
    )


def _printable(words: str) -> str:
    """Text that XML 1.0 may hold: a network's own message may bear any character."""
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "?" for c in words if ord(c) < 0xD800)
