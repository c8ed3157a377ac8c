"""Options that commands share, and how an answer is printed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cropmap.masking import masked_value
from cropmap.schemas import Architecture, CsvDialect

if TYPE_CHECKING:
    from cropmap.settings import Settings
    from cropmap.stages.context import SeasonContext

AgencyFile = Annotated[Path, typer.Argument(metavar="AGENCY.yaml", help="agency file")]
SeasonYear = Annotated[int, typer.Option("--season", help="campaign year, such as 2018")]
# commands that read either an agency's season or a folder of parcels
AnyAgencyFile = Annotated[Path | None, typer.Argument(metavar="[AGENCY.yaml]", help="agency file")]
AnySeasonYear = Annotated[int | None, typer.Option("--season", help="campaign year, such as 2018")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="use only acquisitions and declarations until this day"),
]
Model = Annotated[
    Architecture | None,
    typer.Option("--model", help="network whose predictions are published [default: model.architecture]"),
]
Home = Annotated[
    Path | None, typer.Option("--home", help="folder for all local files [default: CROPMAP_HOME or ./.cropmap]")
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="folder to which relative paths of the agency file refer [default: CROPMAP_DATA, else its own folder]",
    ),
]
Accept = Annotated[
    str | None,
    typer.Option(
        "--accept",
        metavar="WORD",
        help="load a declarations file that the load guard has stopped; its message names the word",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count what would be removed")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="write more to stderr")]
CsvOption = Annotated[
    CsvDialect,
    typer.Option(
        "--csv",
        help="variant of CSV: plain for programs; bom (byte order mark) or semicolon (with decimal comma) for "
        "spreadsheets",
    ),
]


def require_file_to_write(out: Path | None) -> Path | None:
    """The path, checked before any work starts. Raises ConfigurationError where no file can be written there."""
    if out is None:
        return None
    from cropmap.errors import ConfigurationError

    if out.is_dir():
        raise ConfigurationError("is a folder", where=str(out), mend="Name a file in it")
    above = next((folder for folder in out.absolute().parents if folder.exists()), None)
    if above is not None and not above.is_dir():
        raise ConfigurationError(f"cannot be written: {above.name} is a file", where=str(out), mend="Name a folder")
    return out


def _file_or_stdout(out: Path | None) -> Path | None:
    return None if out == Path("-") else require_file_to_write(out)


Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", callback=_file_or_stdout, help="file to write [default: -, which is stdout]"),
]


def prepare(home: Path | None, *, verbose: bool = False, create: bool = False) -> Settings:
    """The settings; sets up logging and switches off telemetry. Every command that does work begins here.

    `create`: make the home where there is none. Only commands that load data or train do so.
    """
    from cropmap.logs import set_up_logging
    from cropmap.settings import Settings, keep_quiet

    settings = Settings.load(home=home)
    keep_quiet(settings.home_path)
    if create:
        settings.make_home()
    set_up_logging(settings.home_path, verbose=verbose)
    return settings


def season_context(
    agency: Path,
    *,
    season: int,
    home: Path | None,
    data: Path | None,
    as_of: datetime | None = None,
    model: Architecture | None = None,
    verbose: bool = False,
    create: bool = False,
) -> SeasonContext:
    from cropmap.stages.context import SeasonContext

    settings = prepare(home, verbose=verbose)
    return SeasonContext.open(
        settings,
        agency,
        season=season,
        as_of=as_of.date() if as_of else None,
        data=data,
        architecture=model,
        create=create,
    )


def say(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the answer of a command on stdout: aligned lines for a person, or one JSON document for a program.

    Secrets of the environment are masked.
    """
    answer = masked_value(answer)
    if as_json:
        print(json.dumps(_finite(answer), default=_plain, ensure_ascii=False, indent=2, allow_nan=False))
        return
    width = max((len(key) for key in answer), default=0)
    for key, value in answer.items():
        print(f"{key.replace('_', ' '):<{width}}  {_short(value)}")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as an aligned text table on stdout; columns of numbers are aligned to the right."""
    cells = [[_short(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[i]) for line in cells), 0) for i, column in enumerate(columns)]
    right = [all(isinstance(row.get(c), int | float | None) for row in rows) for c in columns]
    for line in [list(columns), *cells]:
        parts = (text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True))
        print("  ".join(parts).rstrip())


def write_out(data: bytes, out: Path | None, *, read: Sequence[Path | None] = ()) -> None:
    """Write to a file, wholly or not at all, or to stdout.

    Raises ConfigurationError where `out` is a file that the command `read`.
    """
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    require_file_to_write(out)
    from cropmap.errors import ConfigurationError
    from cropmap.store import Store

    if out.exists() and any(file is not None and file.exists() and out.samefile(file) for file in read):
        raise ConfigurationError("is a file that this command reads", where=str(out), mend="Give another name")

    target = out.absolute()
    Store(target.parent).write_bytes(target.name, data, digest=False)


def confirm(question: str) -> None:
    """Ask on stderr; anything but yes ends the command. Raises BadParameter where nobody can answer."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: say --yes", param_hint="--yes")
    typer.confirm(question, abort=True, err=True)


def _finite(value: Any) -> Any:
    """JSON knows no NaN: a figure that does not exist, such as the precision of an empty list, is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3f}" if math.isfinite(value) else "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_short(v) for v in value)
    return str(value)
