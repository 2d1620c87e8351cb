"""Training under a budget: grid, budget, ledger, loop, one cell."""
