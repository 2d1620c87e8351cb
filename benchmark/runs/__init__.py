"""Runs: what is to be done, where it is kept, found again and resumed."""
