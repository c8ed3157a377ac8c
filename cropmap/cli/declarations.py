"""`cropmap declarations inspect | survey`: an unknown file of declarations; several files side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypedDict

import typer

from cropmap.terminal import AsJson, Home, prepare, say, table

if TYPE_CHECKING:
    from cropmap.legends import Legend
    from cropmap.sources.declarations.inspection import Inspection
    from cropmap.sources.declarations.profiles import Profile
    from cropmap.sources.declarations.reading import Declarations


class DeclaredTwice(TypedDict):
    """What a load would say of land declared twice."""

    said: str
    share: float
    hint: str
    """what `exclude` would leave out"""


BUILT_IN: Final = ("fr_breizhcrops13",)
"""legends whose codes an unknown file may use; the two French ones have the same"""
FRENCH: Final = "fr_rpg"
"""the profile whose codes are in the built-in legends"""
ROLES: Final = ("parcel_id", "crop_code", "crop_name", "area", "holding_id")
SURVEY: Final = ("source", "profile", "rows", "accepted", "rejected", "declared", "harmonised", "share", "reasons")
UNMAPPED_SHOWN: Final = 20


def register(declarations: typer.Typer) -> None:
    declarations.command("inspect")(inspect)
    declarations.command("survey")(survey)


Skeleton = Annotated[
    Path | None,
    typer.Option(
        "--legend",
        metavar="OUT.csv",
        help="file to write a legend to: every code of the file, largest area first, with classes to fill in",
    ),
]


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="vector file, Parquet or CSV, also in an archive")],
    codes: Annotated[
        Path | None, typer.Option("--codes", metavar="LIST.csv", help="code list with HCAT3 codes (EuroCrops' columns)")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="read the file with this profile instead of the proposed one")
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", help="layer of a file with several")] = None,
    member: Annotated[str | None, typer.Option("--member", help="file within an archive of several files")] = None,
    crs: Annotated[
        str | None, typer.Option("--crs", help="coordinate system instead of the file's own, such as EPSG:3035")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="encoding of the text where the file does not name it")
    ] = None,
    skeleton: Skeleton = None,
    axis_order: Annotated[
        Literal["easting_first", "northing_first"] | None,
        typer.Option(
            "--axis-order", help="order of the coordinates in the file, instead of the one that its format prescribes"
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Inspect an unknown file and propose a profile for it.

    The answer lists layers, CRS, candidate columns for each role and a profile to start from. The file is then read
    with the profile as a load reads it: accepted and rejected rows, codes found and not found, land that is declared
    twice.
    """
    prepare(home)
    from cropmap.legends import Legend
    from cropmap.progress import Counter
    from cropmap.sources.declarations.inspection import inspect_file

    legend = _legend(codes) if codes else None
    legends = [legend] if legend else [Legend.read(name) for name in BUILT_IN]
    with Counter("inspect", total=2, unit="steps") as counter:
        counter.add(0, description=f"look into {file.name}")
        inspection = inspect_file(
            file, legends=legends, layer=layer, member=member, crs=crs, encoding=encoding, axis_order=axis_order
        )
        counter.add(1, description="read it through the profile")
        whole = _legend(codes, profile or inspection.known_as) if codes else None
        given_keys = {"member": member, "crs": crs, "encoding": encoding, "axis_order": axis_order}
        layout = _layout(inspection, profile, given_keys)
        read = _read_through(file, layout, whole, named=profile is not None)
        twice = _declared_twice(file, layout, read)
        if skeleton:
            _write_skeleton(skeleton, file, layout, whole)
        counter.add()
    answer = _answer(file, inspection, (layout.name, read))
    if twice:
        answer["declared_twice"] = twice
    if skeleton:
        answer["legend"] = str(skeleton)
    if as_json:
        say(answer, as_json=True)
    else:
        _show(answer, inspection)


def survey(
    sources: Annotated[
        Path, typer.Argument(metavar="SOURCES.csv", help="CSV with columns authority, path, crop_code_list")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read several files and count their rows and codes.

    Each file is read with its built-in profile. Paths are relative to the folder of SOURCES.csv. `declared` counts the
    rows that name a crop: neither rows that the profile excludes, nor rows without code and name. `harmonised` counts
    those of them that have an HCAT3 crop; `share` is the ratio of the two.
    """
    prepare(home)
    rows = [_surveyed(sources.parent, source) for source in _listed(sources)]
    if as_json:
        say({"sources": rows}, as_json=True)
    else:
        table(rows, SURVEY)


def _legend(codes: Path, profile: str | None = None) -> Legend:
    from cropmap.legends.code_lists import read_code_list
    from cropmap.legends.hcat3 import LEVELS, hcat3_legend
    from cropmap.sources.declarations.profiles import Profile

    more = Profile.read(profile, base=Path.cwd()).more_codes if profile else {}
    return hcat3_legend(read_code_list(codes).with_more(more), level=LEVELS["hcat3"])


def _layout(inspection: Inspection, reference: str | None, overrides: Mapping[str, str | None]) -> Profile:
    """The profile named, else the built-in one that knows the file, else the proposed one; with what was given. A
    part of a delivery is read as one."""
    import yaml

    from cropmap.sources.declarations.profiles import Profile

    name = reference or inspection.known_as
    proposed = {"name": "proposed", **yaml.safe_load(inspection.proposal)}
    profile = Profile.read(name, base=Path.cwd()) if name else Profile.model_validate(proposed)
    return profile.overridden({key: value for key, value in overrides.items() if value} | {"allow_partial": True})


def _read_through(file: Path, profile: Profile, legend: Legend | None, *, named: bool) -> Declarations | str:
    """The declarations or, in words, why none can be read; raises where the profile was `named`."""
    from cropmap.errors import InputError
    from cropmap.sources.declarations.reading import own_codes, read_declarations

    try:
        return read_declarations(file, legend=legend or own_codes(file, profile), profile=profile)
    except InputError as error:
        if named:
            raise
        return str(error)


def _declared_twice(file: Path, profile: Profile, read: Declarations | str) -> DeclaredTwice | None:
    """None where no land is declared twice, or nothing could be read."""
    from cropmap.sources.declarations.doubles import find_doubles, find_separator
    from cropmap.stages.declared import exclude_hint

    doubles = None if isinstance(read, str) or read.claims.empty else find_doubles(read)
    if not doubles:
        return None
    hint = exclude_hint(find_separator(doubles, file, profile))
    return {"said": doubles.words, "share": round(doubles.share, 4), "hint": hint}


def _write_skeleton(target: Path, file: Path, profile: Profile, legend: Legend | None) -> None:
    from cropmap.dissemination.spreadsheets import to_csv
    from cropmap.errors import ConfigurationError
    from cropmap.legends import Legend
    from cropmap.schemas import CsvDialect
    from cropmap.sources.declarations.legend_skeleton import legend_skeleton
    from cropmap.sources.declarations.reading import declared_codes
    from cropmap.terminal import write_out

    if target.exists():
        raise ConfigurationError("is there already", where=str(target), mend="Name another file for --legend")
    known = legend or (Legend.read(BUILT_IN[0]) if profile.name == FRENCH else None)
    table = legend_skeleton(declared_codes(file, profile), known)
    write_out(to_csv(table, CsvDialect.BOM), target)


def _answer(file: Path, inspection: Inspection, through: tuple[str, Declarations | str]) -> dict[str, object]:
    from dataclasses import asdict

    profile, read = through
    return {
        "file": str(file),
        "layers": [asdict(layer) for layer in inspection.layers],
        "looked_at": {"layer": inspection.layer.name, "rows": inspection.rows, "crs": inspection.crs},
        "geometry": {
            "without": inspection.without_geometry,
            "not_polygons": inspection.not_polygons,
            "invalid": inspection.invalid,
        },
        "notes": list(inspection.notes),
        "known_as": inspection.known_as,
        "columns": [asdict(column) for column in inspection.columns],
        "candidates": {role: [asdict(c) for c in each] for role, each in inspection.candidates.items()},
        "profile": inspection.proposal,
        "read": {"through": profile, **(_counts(read) if not isinstance(read, str) else {"failed": read})},
    }


def _counts(read: Declarations) -> dict[str, object]:
    from cropmap.sources.declarations.crop_codes import codes_answer

    return {
        "rows": read.row_count,
        "accepted": len(read.claims),
        "merged": read.merged,
        "rejected": {str(k): int(v) for k, v in read.rejected["reason"].value_counts().items()},
        "notices": {str(k): int(v) for k, v in read.notices["notice"].value_counts().sort_index().items()},
        "harmonised": read.codes.harmonised or None,
        **codes_answer(read.codes),
        "renamed": [{"code": c, "here": here, "in_the_list": there} for c, here, there in read.codes.renamed],
    }


def _show(answer: Mapping[str, Any], inspection: Inspection) -> None:
    table(
        [{**layer, "columns": len(layer["columns"]), "crs": _named(layer["crs"])} for layer in answer["layers"]],
        ("name", "format", "geometry", "rows", "crs", "encoding", "columns"),
    )
    print()
    looked_at = answer["looked_at"] | {"crs": _named(inspection.crs)}
    say({"looked_at": looked_at, **{key: answer[key] for key in ("geometry", "known_as")}}, as_json=False)
    for note in inspection.notes:
        print(f"note: {note}")
    print()
    rows = [
        {"role": role, "column": c.column, "why": c.why, "samples": " | ".join(sample[:24] for sample in c.samples)}
        for role in ROLES
        for c in inspection.candidates.get(role, ())
    ]
    table(rows, ("role", "column", "why", "samples"))
    print(f"\n# profile\n{inspection.proposal}")
    read = dict(answer["read"])
    unmapped, renamed = read.pop("unmapped_codes", []), read.pop("renamed", [])
    say(read, as_json=False)
    if twice := answer.get("declared_twice"):
        print(f"\nnote: {twice['said']}")
        if twice["hint"]:
            print(f"note: {twice['hint']}")
    if "legend" in answer:
        print(f"\nlegend to fill in: {answer['legend']} (its columns: docs/declarations.md)")
    for title, listed in (("codes that were not found", unmapped), ("names that differ from the list's", renamed)):
        if listed:
            print(f"\n{title}: {len(listed)}")
            table(listed[:UNMAPPED_SHOWN], tuple(listed[0]))


def _named(crs: str | None) -> str | None:
    """The name of a CRS that a file spells out in full (WKT); a code stays."""
    return crs.split('"')[1] if crs and crs.count('"') > 1 else crs


def _listed(sources: Path) -> list[dict[str, str]]:
    from cropmap.errors import ConfigurationError
    from cropmap.sheets import read_sheet

    sheet = read_sheet(sources)
    rows = [row for _, row in sheet.columns(("path", "crop_code_list", "authority")) if row["path"]]
    if not rows:
        raise ConfigurationError("lists no file", where=str(sources), mend="It needs a column path, and a row per file")
    return rows


def _surveyed(folder: Path, source: Mapping[str, str]) -> dict[str, object]:
    from cropmap.errors import InputError
    from cropmap.legends import Legend
    from cropmap.sources.declarations.crop_codes import MISSING
    from cropmap.sources.declarations.inspection import inspect_file

    path, codes = folder / source["path"], source["crop_code_list"]
    name = source["authority"] or path.name
    try:
        legend = _legend(folder / codes) if codes else None
        inspection = inspect_file(path, legends=[legend or Legend.read(BUILT_IN[0])])
        legend = _legend(folder / codes, inspection.known_as) if codes else None
        layout = _layout(inspection, inspection.known_as, {})
        profile, read = layout.name, _read_through(path, layout, legend, named=inspection.known_as is not None)
    except InputError as error:
        return {"source": name, "reasons": str(error)}
    if isinstance(read, str):
        return {"source": name, "profile": profile, "reasons": read}
    reasons = {str(k): int(v) for k, v in read.rejected["reason"].value_counts().items()}
    declared = sum(read.codes.rows.values()) - read.codes.rows.get(MISSING, 0)
    harmonised = read.codes.harmonised if legend else None
    return {
        "source": name,
        "profile": profile,
        "rows": read.row_count,
        "accepted": len(read.claims),
        "rejected": len(read.rejected),
        "declared": declared,
        "harmonised": harmonised,
        "share": None if harmonised is None else harmonised / max(declared, 1),
        "reasons": reasons,
        "codes_found": read.codes.rows,
    }
