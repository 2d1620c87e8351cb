"""A procedural phantom of non-contrast cardiac and chest CT with coronary calcium.

It can be used alone::

    from benchmark.phantom import Patient, draw

    scan = draw(Patient.of(0))                    # a gated calcium scan
    same = draw(Patient.of(0, protocol="wide"))   # the same person in a chest CT

docs/phantom.md says what is drawn, from which sources, and what it cannot show.
"""

from benchmark.phantom.draw import VERSION, Drawing, Plan, draw, plan
from benchmark.phantom.patient import Patient

__all__ = ["VERSION", "Drawing", "Patient", "Plan", "draw", "plan"]
