"""The command line: options, errors in one line, exit statuses. No logic of its own."""

from __future__ import annotations

import sys

import click

from benchmark import __version__
from benchmark.commands.check import check
from benchmark.commands.check_method import check_method
from benchmark.commands.claims import claims
from benchmark.commands.clean import clean
from benchmark.commands.compare import compare
from benchmark.commands.data import data
from benchmark.commands.evaluate import evaluate
from benchmark.commands.figures import figures
from benchmark.commands.jobs import cancel, status
from benchmark.commands.join import join
from benchmark.commands.list import list_command
from benchmark.commands.new_method import new_method
from benchmark.commands.predict import predict
from benchmark.commands.ranks import ranks
from benchmark.commands.report import report
from benchmark.commands.run import run
from benchmark.commands.score import score
from benchmark.commands.show import show
from benchmark.commands.simulate import simulate
from benchmark.commands.split import split
from benchmark.commands.submit import submit
from benchmark.cores import wait_asleep
from benchmark.errors import UserError
from benchmark.streams import make_ready

BAD_INPUT = 2
INTERRUPTED = 130
LONGEST_MESSAGE = 2000
"""Characters of an error."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="benchmark")
def cli() -> None:
    """Train networks for coronary calcium scoring under one budget, and rank them honestly.

    \b
    benchmark run --suite table1                  nine networks, a leaderboard at the end
    benchmark run --suite table1 --scale smoke    the same in miniature, to see that all works
    benchmark show                                the newest leaderboard again
    """


for command in (
    run,
    status,
    cancel,
    list_command,
    show,
    report,
    join,
    figures,
    data,
    score,
    predict,
    new_method,
    evaluate,
    check_method,
    split,
    submit,
    claims,
    compare,
    ranks,
    simulate,
    check,
    clean,
):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status.

    Returns
    -------
    int
        0 all went well; 1 a method failed, or `check` found a fault; 2 bad input, or a system that
        refuses (a full disk, no permission); 130 interrupted by Ctrl-C, 143 ended by SIGTERM.
    """
    wait_asleep()
    make_ready()
    try:
        status = cli.main(arguments, prog_name="benchmark", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except UserError as error:
        return _complain(str(error))
    except click.UsageError as error:
        context = error.ctx
        hint = f" (see {context.command_path} --help)" if context else ""
        return _complain(error.format_message() + hint)
    except click.ClickException as error:
        return _complain(error.format_message())
    except (KeyboardInterrupt, click.Abort) as error:
        stop = error.__cause__ or error  # click puts its own in the place of an interrupt
        kept = getattr(stop, "unfinished", "") or "what was finished is kept"
        status = getattr(stop, "status", INTERRUPTED)
        word = "interrupted" if status == INTERRUPTED else "ended by SIGTERM"
        print(f"{word}; {kept}: the same command goes on", file=sys.stderr)
        return status
    except MemoryError:
        return _complain("not enough memory; close other programs, or give it less at once")
    except OSError as error:
        from benchmark.system_errors import in_words

        return _complain(in_words(error))
    except UnicodeEncodeError as error:
        if error.encoding != sys.getfilesystemencoding():
            raise
        return _complain(
            f"this system's encoding, {error.encoding}, has no name for {error.object!r}; set "
            "PYTHONUTF8=1, or a locale with UTF-8"
        )
    except RuntimeError as error:
        from concurrent.futures import BrokenExecutor

        if isinstance(error, BrokenExecutor):
            return _complain(
                "a worker process was ended by the system, perhaps for want of memory; give it "
                "less at once: --workers 1"
            )
        if "can't start new thread" not in str(error):
            raise
        return _complain("the system gives no more threads; allow more (ulimit -u)")


def _complain(message: str) -> int:
    # A message may quote a file of anybody's: no control characters, no endless line.
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    shown = line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]} ..."
    print(f"error: {shown}", file=sys.stderr)
    return BAD_INPUT
