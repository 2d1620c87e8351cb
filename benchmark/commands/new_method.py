"""``benchmark new-method``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new-method")
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="[default: NAME.py, here]"
)
def new_method(name: str, out: Path | None) -> None:
    """Write a small network to start from, in one file, and say how to go on.

    NAME is yours, as my-net: the class is then MyNet in my_net.py. A file that is there already
    is left as it is.
    """
    from benchmark.method_template import class_name, write_method

    path = write_method(name, out)
    target = f"{path}:{class_name(name)}"
    click.echo(f"written: {path}")
    click.echo("Change it, check it, and run it beside the others:")
    click.echo(f"  python -m benchmark check-method {target}")
    click.echo(f"  python -m benchmark run --suite table1 --methods mmwfanet,{target}")
