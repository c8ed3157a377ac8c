"""The program `cropmap`: answers on stdout, progress and logs on stderr.

Exit codes: 0 done; 1 the run failed, and the message names the units; 2 wrong input or configuration, in one line and
without a traceback; 130 stopped by Ctrl-C, SIGTERM or SIGHUP, and the same command continues.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Final

import click
import typer

from cropmap.breizhcrops import commands as breizhcrops
from cropmap.cli import (
    access,
    acquisitions,
    agencies,
    bench,
    database,
    demo,
    drift,
    evaluate,
    evidence,
    exports,
    inputs,
    meanings,
    models,
    reference,
    releases,
    report,
    review,
    seasons,
    serve,
    statistics,
)
from cropmap.cli.groups import GroupedCommands
from cropmap.errors import CropmapError
from cropmap.interruption import INTERRUPTED, STOPPED_MESSAGE, hold_if_begun
from cropmap.logs import FILE_ONLY
from cropmap.masking import masked
from cropmap.printable import guard_terminal, printable


def _print_version(asked: bool) -> None:
    if asked:
        from cropmap.provenance import code_version

        print(f"cropmap {code_version()}")
        raise typer.Exit


app: Final = typer.Typer(
    name="cropmap",
    cls=GroupedCommands,
    help="Seasonal crop mapping from Sentinel-2 and CAP declarations: a crop per parcel, an assessment of every "
    "declaration, and crop areas per NUTS region.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes `[peers]` and `[default: mismatch]` for markup and leaves them out
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (
    demo,
    seasons,
    inputs,
    acquisitions,
    evaluate,
    drift,
    breizhcrops,
    meanings,
    models,
    exports,
    statistics,
    releases,
    report,
    evidence,
    review,
    access,
    agencies,
    reference,
    serve,
    database,
    bench,
):
    room.register(app)


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version and exit")
    ] = False,
) -> None:
    pass


USAGE_ERRORS: Final[tuple[type[Any], ...]] = (click.ClickException, typer.BadParameter.__mro__[2])
"""ClickException of click itself, and that of the copy of click which newer releases of typer carry."""


def main() -> None:
    """The console script: every error becomes one line on stderr and an exit code."""
    guard_terminal()
    code = run(sys.argv[1:])
    hold_if_begun()
    sys.exit(code)


def run(arguments: list[str], program: typer.Typer = app, name: str = "cropmap") -> int:
    """Run a command line of `program`; returns its exit code and prints an error as one line on stderr."""
    try:
        result = program(args=arguments, standalone_mode=False, prog_name=name)
    except CropmapError as error:
        hold_if_begun()  # its processes are being killed: that is no error to report
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except USAGE_ERRORS as error:
        error.show()
        return 2
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # a defect of ours: the record goes to the log file, one line to the person
        hold_if_begun()
        logging.getLogger(f"cropmap.{FILE_ONLY}").exception("unexpected error")
        print(
            f"error: unexpected {type(error).__name__}: {printable(masked(str(error)))}. "
            "The record is in logs/cropmap.log of the home",
            file=sys.stderr,
        )
        return 1
    if result == INTERRUPTED:  # typer's answer to a KeyboardInterrupt; a signal is mostly caught before it is one
        print(STOPPED_MESSAGE, file=sys.stderr)
    return result if isinstance(result, int) else 0
