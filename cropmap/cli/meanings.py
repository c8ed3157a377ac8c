"""`cropmap columns`, `cropmap reasons`: what the columns of the public tables and the reason codes mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from cropmap.cli.agencies import AsMarkdown
from cropmap.contracts.columns import Column, Table
from cropmap.contracts.tables import FILES, VIEWS
from cropmap.errors import InputError
from cropmap.schemas import (
    BASIS_MEANING,
    AcquisitionWarning,
    CertificateReason,
    Exclusion,
    FindingReject,
    Internal,
    LeftOut,
    Notice,
    QuarantineReason,
    Reason,
    ReasonCode,
    RejectReason,
    RowReject,
)
from cropmap.terminal import AsJson, say, table

COLUMNS_PAGE: Final = """# Public tables, column by column

This page is for everybody who reads published results by SQL, from the API or from a file. It describes the views of
the database and the files `flags` and `observation`. The names and types are stable. The API uses the same names with
the same meaning.

Areas are in hectares, times in UTC. *empty* says what a missing value means; a column without such an entry always has
a value. The reason codes are explained in [reasons](reasons.md).

`make docs` writes this page from `cropmap/contracts/tables.py`. `cropmap columns TABLE` prints a part of it.
"""
REASONS_PAGE: Final = """# Reason codes

This page is for everybody who finds a reason code in an answer, a table or a log. It gives the meaning of every code,
and what to do about it. The codes are stored and counted; they stay the same between versions.

`make docs` writes this page from the program itself. `cropmap reasons CODE` prints one code.
"""
POSTGRES: Final = {
    "int2": "smallint",
    "int4": "integer",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "timestamptz": "timestamp with time zone",
}
"""names of types as people write them, where they are others"""


@dataclass(frozen=True)
class CodeList:
    title: str
    where: str
    """where a person meets its codes"""
    codes: type[ReasonCode]


def code_lists() -> tuple[CodeList, ...]:
    """Every list of reason codes, in the order of a season."""
    from cropmap.model.gate import GateReason
    from cropmap.sources.declarations.file_quality import FileWarning

    return (
        CodeList(
            "Rejected rows of a declarations file",
            "view `rejected_declaration`; the answers of `declarations load` and `declarations quality`",
            RejectReason,
        ),
        CodeList(
            "Notices on accepted declarations", "view `declaration_notice`; the answer of `declarations load`", Notice
        ),
        CodeList("Warnings on accepted rows of a declarations file", "`declarations quality`", FileWarning),
        CodeList("Quarantined acquisitions", "`acquisitions list`; the run's answer", QuarantineReason),
        CodeList("Warnings on observed acquisitions", "`acquisitions list`; the run's answer", AcquisitionWarning),
        CodeList(
            "Rows of a table of parcel statistics that are not used",
            "the answers of `observations import` and `evaluate`",
            RowReject,
        ),
        CodeList("Parcels that are not evaluated", "the answer of `evaluate`", Exclusion),
        CodeList("Promotion of models", "the season's answer; `models list`; MLflow", GateReason),
        CodeList(
            "Assessments of declarations",
            "column `reason` of view `crop_assessment`, of the API and of `flags export`",
            Reason,
        ),
        CodeList("Rejected rows of a file of findings", "the file of rejected rows of `review import`", FindingReject),
        CodeList(
            "Certification of a list of mismatches",
            "column `reason` of view `list_certification`; `review report`",
            CertificateReason,
        ),
        CodeList("Tables of areas that are not for publication", "the run's report; `stats release`", Internal),
        CodeList("Figures that are left out of a table of areas", "`stats export`, `stats compare`", LeftOut),
    )


def register(app: typer.Typer) -> None:
    app.command("columns")(columns)
    app.command("reasons")(reasons)


def columns(
    name: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="one table [default: all]")] = None,
    as_json: AsJson = False,
    markdown: AsMarkdown = False,
) -> None:
    """Explain the columns of the public tables.

    Each has its type, its meaning, and what an empty value says.
    """
    if markdown:
        print(columns_page(), end="")
        return
    rows = [row for described in (*VIEWS, *FILES) if name in {None, described.name} for row in _column_rows(described)]
    if not rows:
        known = ", ".join(described.name for described in (*VIEWS, *FILES))
        raise InputError(f"there is no public table {name!r}", mend=f"It is one of {known}")
    _print(rows, ["table", "column", "type", "meaning", "empty"], as_json=as_json)


def reasons(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="one code [default: all]")] = None,
    as_json: AsJson = False,
    markdown: AsMarkdown = False,
) -> None:
    """Explain reason codes and what to do about each."""
    if markdown:
        print(reasons_page(), end="")
        return
    rows = [
        {"code": str(reason), "of": code_list.title, "meaning": reason.meaning, "what to do": reason.mend}
        for code_list in code_lists()
        for reason in code_list.codes
        if code in {None, str(reason)}
    ]
    if not rows:
        raise InputError(f"there is no reason code {code!r}", mend="`cropmap reasons` lists them")
    _print(rows, ["code", "of", "meaning", "what to do"], as_json=as_json)


def columns_page() -> str:
    """docs/columns.md."""
    return COLUMNS_PAGE + "".join(_table_section(described) for described in (*VIEWS, *FILES))


def reasons_page() -> str:
    """docs/reasons.md."""
    return REASONS_PAGE + "".join(
        f"\n## {code_list.title}\n\nWhere: {code_list.where}.\n\n"
        + "".join(
            _lines([("code", "meaning", "what to do"), *((f"`{c}`", c.meaning, c.mend) for c in code_list.codes)])
        )
        for code_list in code_lists()
    )


def _table_section(described: Table) -> str:
    reader = getattr(described, "reader", "")
    readers = f"Readers: role `{reader}`. " if reader else ""
    rows = [(f"`{row['column']}`", row["type"], row["meaning"], row["empty"]) for row in _column_rows(described)]
    return f"\n## {described.name}\n\n{readers}{described.meaning}\n\n" + "".join(
        _lines([("column", "type", "meaning", "empty"), *rows])
    )


def _column_rows(described: Table) -> list[dict[str, str]]:
    return [
        {
            "table": described.name,
            "column": column.name,
            "type": POSTGRES.get(column.kind.postgres, column.kind.postgres),
            "meaning": "; ".join(_meaning(column)),
            "empty": column.null,
        }
        for column in described
    ]


def _meaning(column: Column) -> Iterator[str]:
    yield column.statement
    if column.bounds:
        yield "{:g} to {:g}".format(*column.bounds)
    if column.words and issubclass(column.words, ReasonCode):
        yield "a reason code"
    elif column.words:
        yield "one of " + ", ".join(f"`{word}`{_explained(word)}" for word in column.words)
    if column.masked:
        yield "files and the API leave it empty in a confidential cell"


def _explained(word: str) -> str:
    """In brackets, for the words that do not explain themselves."""
    meaning = {str(basis): text for basis, text in BASIS_MEANING.items()}.get(word)
    return f" ({meaning})" if meaning else ""


def _lines(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table; the first row is its head."""
    for place, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"
        if place == 0:
            yield "|" + "---|" * len(row) + "\n"


def _print(rows: list[dict[str, str]], names: list[str], *, as_json: bool) -> None:
    if as_json:
        say({"rows": rows}, as_json=True)
    else:
        table(rows, names)
