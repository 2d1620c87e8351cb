"""Print the table of ratios: ``python tests/speed``, or some sections of it by name."""

from __future__ import annotations

import argparse

import activations
import clinical
import compiling
import harness
import hearts
import intervals
import peers
import reading
import side_by_side
import starts
import trainers
import training_steps
from ratio import Line, table

SECTIONS = {
    "training": training_steps.measure,
    "precision": training_steps.precision,
    "compile": compiling.measure,
    "activations": activations.measure,
    "harness": harness.measure,
    "clinical": clinical.measure,
    "reading": reading.decompression,
    "growth": reading.growth,
    "hearts": hearts.measure,
    "intervals": intervals.measure,
    "starts": starts.measure,
    "budget": side_by_side.measure,
    "peers": peers.measure,
    "trainers": trainers.measure,
}


def main() -> None:
    """Measure and print; with ``--layers NAME`` the convolutions of one network."""
    parser = argparse.ArgumentParser(prog="python tests/speed", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="|".join(SECTIONS))
    parser.add_argument("--layers", metavar="METHOD", help="each convolution of a network")
    parser.add_argument("--scans", type=int, help="small scans of the section growth")
    parser.add_argument("--threads", type=int, help="of each trainer in the section trainers")
    parser.add_argument("--methods", help="of the section budget, by commas; or all of Table 1")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r} (choose: {', '.join(SECTIONS)})")
    if chosen.layers:
        print("\n".join(training_steps.layers(chosen.layers)))
        return
    lines: list[Line] = []
    for name in chosen.sections or SECTIONS:
        if name == "growth" and chosen.scans:
            lines += reading.growth((100, chosen.scans))
        elif name == "budget" and chosen.methods:
            every = chosen.methods == "all"
            methods = training_steps.methods() if every else tuple(chosen.methods.split(","))
            lines += side_by_side.measure(methods)
        elif name == "trainers" and chosen.threads:
            lines += trainers.measure(threads=chosen.threads)
        else:
            lines += SECTIONS[name]()
    print("\n".join(table(lines)))
    missed = [line for line in lines if not line.reached]
    print(f"\n{len(lines)} ratios, {len(missed)} short of their goal")


if __name__ == "__main__":
    main()
