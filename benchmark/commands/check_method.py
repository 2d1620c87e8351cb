"""``benchmark check-method``."""

from __future__ import annotations

import shlex

import click


@click.command("check-method")
@click.argument("target", metavar="path/to/net.py:Net")
def check_method(target: str) -> int:
    """Check a network before it is trained: what it gives, its losses, its gradients.

    Takes a few seconds on tiny made-up scans and says in plain words what is wrong and what to do.
    Also a name of `benchmark list methods`. Exit status 1 if something is wrong.
    """
    from benchmark.errors import UserError
    from benchmark.methods import METHODS, Method, ablation, find, read_options
    from benchmark.names import own_class, split_base
    from benchmark.plugins import installed

    base, rest = split_base(target, {*METHODS, *installed()})
    own = own_class(base)
    if own is None and target.endswith(".py"):
        raise UserError(f"{target}: name the class too, as {target}:Net")
    if own is None and ":" in base:
        raise UserError(f"{target}: write path/to/net.py:Net, the file and its class")
    if own is None or base in installed():
        method = find(target)
    else:
        # `find` asks a file's class for its outputs, which is what is to be checked here
        method = Method(base, own[1], base, ())
        method = ablation(method, read_options(target, rest), target) if rest else method
    if not method.trained:
        raise UserError(f"{target} learns nothing by gradient: there is nothing to check")
    if method.external:
        raise UserError(f"{target} trains itself: the contract is for networks")
    method = method.read()
    method.facts()  # in another process: importing it may end the program

    from benchmark.method_check import CHECKS, Fault, cost_of, run_checks, subject_of

    done, faults = 0, 0
    try:
        subject = subject_of(method)
    except Fault as fault:
        click.echo(f"WRONG  {fault.problem}\n       {fault.remedy}")
        return 1
    for title, fault in run_checks(subject):
        done += 1
        if fault is None:
            click.echo(f"ok     {title}")
            continue
        faults += 1
        click.echo(f"WRONG  {title}: {fault.problem}\n       {fault.remedy}")
    if done < len(CHECKS):
        click.echo(f"       ({len(CHECKS) - done} more checks wait for this)")
    if faults:
        click.echo(f"{target}: {faults} of {done} checks failed")
        return 1
    _print_cost(cost_of(subject))
    methods = shlex.quote(f"mmwfanet,{target}")
    click.echo(f"{target}: ready; next: benchmark run --suite table1 --methods {methods}")
    return 0


def _print_cost(cost) -> None:
    """Parameters and time of a step, in a line."""
    import torch

    from benchmark.method_check import TIMED_GRID, TIMED_WIDTH

    size = " x ".join(map(str, TIMED_GRID))
    click.echo(
        f"       {cost.parameters:,} parameters at width {TIMED_WIDTH}; a step of two scans of "
        f"{size} cells takes {1000 * cost.seconds:.0f} ms on the CPU with "
        f"{torch.get_num_threads()} threads"
    )
