"""The orCaScore challenge: its measures, and submissions made, checked and scored.

What the challenge leaves open is an option with a default of our own, never "official"; see
docs/orcascore.md.
"""
