"""The attack on confidentiality across products: everything that each role may read, joined, against what is hidden.

Random small seasons are published and released in two databases. The tables of areas are the same in both; parcels,
predictions, assessments and the runs' documents are others in the second. After each publication every role reads all
that it may, over SQL and HTTP, and keeps it.

- What is not the same in both databases tells of what is hidden, whatever it is: `differences`.
- What is the same is joined. For every hidden figure the interval is solved that all of it leaves: `recovered` where
  that is one value, `narrowed` where a sensitive figure keeps less than its protection.
- The holding that knows most (sole contributor of hidden cells, else the largest) attacks besides: `exposed`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import numpy as np
import pandas as pd

from cropmap.database import keys
from cropmap.database.connection import Connection, connect
from cropmap.database.runs import ensure_season
from cropmap.disclosure import Rules
from cropmap.disclosure.primary import primary
from cropmap.dissemination.long_form import masked
from cropmap.legends import Legend
from cropmap.progress import track
from cropmap.reports.areas import crop_areas, head_region
from cropmap.reports.quality import season_quality
from cropmap.schemas import AccessRole
from cropmap.statistics.confidentiality import CONFIDENTIAL
from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import running
from tests.studies.confidential_attack import ADDITIVE, Cell, Interval, Need, System, Table, attack, determined
from tests.studies.confidential_attack import Edition as Facts
from tests.studies.confidential_knowledge import Knowledge
from tests.studies.confidential_reading import (
    KEYS,
    PEOPLE,
    ROLES,
    Answer,
    Place,
    Rows,
    api_description,
    read_http,
    read_sql,
    requests,
)
from tests.studies.confidential_seasons import YEAR, Edition, agency_of, editions, run_report, write
from tests.studies.small_seasons import LEGEND

PATIENCE_SECONDS: Final = 120.0
WHOLE: Final = 40
"""in one season of so many every route is asked in every form; in the others those that answer rows"""
ROWS: Final = ("/statistics", "/releases", "/runs", "/seasons", "/agencies")
AREAS: Final = ("estimate_ha", "declared_ha", "mapped_ha")
Known = Mapping[tuple[Cell, str], Need]


@dataclass(frozen=True)
class Finding:
    """A hidden figure that a role gets at."""

    role: str
    run_id: str
    kind: str
    """recovered, narrowed, or exposed to a holding"""
    cell: Cell
    figure: str
    low: float
    high: float
    value: float
    lost: float
    """share of its protection"""
    internal: bool = False
    """of a table that is marked as not for publication, or joined with one: nothing is promised of it"""


@dataclass
class Outcome:
    """Of all seasons."""

    findings: list[Finding] = field(default_factory=list)
    internal: list[Finding] = field(default_factory=list)
    """of tables that are marked as not for publication, and are in no release"""
    differences: set[tuple[str, str]] = field(default_factory=set)
    """(role, what of it) that is not the same where only hidden things differ"""
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    tables: int = 0
    hidden: int = 0
    sensitive: int = 0


class World:
    """A database, its API, and the keys of every agency."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.connection: Connection = stack.enter_context(_opened(url))
        app = create_app(ServingSettings(database_url=url, rate_per_minute=0))
        self.client: httpx.Client = stack.enter_context(running(app))
        self.client.timeout = httpx.Timeout(PATIENCE_SECONDS)
        self.secrets: dict[tuple[str, AccessRole], str] = {}

    def admit(self, agency: str) -> None:
        ensure_season(self.connection, agency=agency, season=YEAR)
        for role in AccessRole:
            name = f"{agency} {role}"
            self.secrets[agency, role] = keys.create_key(self.connection, name, role=role, agency=agency)


def _opened(url: str) -> AbstractContextManager[Connection]:
    return connect(url)


@contextmanager
def worlds(first: str, second: str, seeds: Iterable[int]) -> Iterator[tuple[World, World]]:
    """URLs of two fresh databases with every migration applied."""
    with ExitStack() as stack:
        both = World(first, stack), World(second, stack)
        for world in both:
            for seed in seeds:
                world.admit(agency_of(seed))
        yield both


def measure(first: str, second: str, seeds: range) -> list[dict[str, Any]]:
    started = time.monotonic()
    found, legend = Outcome(), Legend.read(LEGEND)
    with worlds(first, second, seeds) as both:
        for seed in track(seeds, "confidentiality", total=len(seeds), unit="seasons"):
            attack_season(both, editions(seed, legend), found, whole=seed % WHOLE == 0)
    return [_row(found, role, seasons=len(seeds), seconds=time.monotonic() - started) for role in ROLES]


def _row(found: Outcome, role: str, *, seasons: int, seconds: float) -> dict[str, Any]:
    mine = [one for one in found.findings if one.role == role]
    counts = {kind: sum(one.kind == kind for one in mine) for kind in ("recovered", "narrowed", "exposed")}
    return {
        "role": role,
        "seasons": seasons,
        "tables": found.tables,
        "hidden cells": found.hidden,
        "sensitive": found.sensitive,
        "figures read": found.figures[role],
        "answers": found.answers[role],
        "differences": sorted(what for who, what in found.differences if who == role),
        **counts,
        "found": len(mine) + sum(who == role for who, _ in found.differences),
        "largest loss": round(max((one.lost for one in mine), default=0.0), 4),
        "in tables for internal use": sum(one.role == role for one in found.internal),
        "look at": sorted({one.run_id for one in mine})[:10],
        "seconds": round(seconds),
    }


def attack_season(
    both: tuple[World, World], following: Iterable[Edition], found: Outcome, *, whole: bool = False
) -> None:
    """Publishes every edition of an agency in both databases, has every role read after each, and attacks what they
    keep. `whole`: every route is asked in every form."""
    rng = np.random.default_rng(7)
    known = {role: Knowledge() for role in ROLES}
    made: list[Edition] = []
    for edition in following:
        write(both[0].connection, edition)
        write(both[1].connection, edition, parcels=others(edition.small.parcels, rng))
        made.append(edition)
        found.tables += 1
        found.hidden += int((edition.made.table["conf_status"] == CONFIDENTIAL).sum())
        found.sensitive += len({cell for (cell, _), need in needs(edition).items() if need.is_sensitive})
        answered = ask(both, edition, whole=whole)
        for role, knowledge in known.items():
            found.differences |= {(role, what) for what in learn(both, role, edition, answered, knowledge, found)}
            knowledge.take_shares(edition.run_id, quality_shares(edition))
    done: dict[str, list[Finding]] = {}
    for role, knowledge in known.items():
        found.figures[role] += knowledge.figures
        for one in joined(knowledge, made, done, role):
            (found.internal if one.internal else found.findings).append(one)


def others(parcels: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Other parcels, of other areas and holdings: nothing of what the table was made from is left but its codes."""
    fewer = parcels[rng.random(len(parcels)) < 0.8]
    area = fewer["area_ha"] * rng.uniform(0.5, 3.0, len(fewer)) + 0.5
    return fewer.assign(area_ha=area, holding_id=[f"x{place % 7}" for place in range(len(fewer))]).reset_index(
        drop=True
    )


Answered = dict[AccessRole, tuple[list[Answer], list[Answer]]]
"""of both databases, by the role of the key"""


def ask(both: tuple[World, World], edition: Edition, *, whole: bool) -> Answered:
    """What keys are answered now. `whole`: everything; else the routes that answer rows, once each."""
    asked = requests(place_of(edition), api_description())
    if not whole:
        asked = [one for one in asked if one.path.startswith(ROWS) and one.accept == "*/*" and "?" not in one.path]

    def answers(role: AccessRole) -> tuple[list[Answer], list[Answer]]:
        one, two = (read_http(world.client, world.secrets[edition.agency, role], asked) for world in both)
        return one, two

    return {role: answers(role) for role in (AccessRole.PUBLIC, AccessRole.STATISTICIAN, AccessRole.OPERATOR)}


def learn(
    both: tuple[World, World], role: str, edition: Edition, answered: Answered, knowledge: Knowledge, found: Outcome
) -> set[str]:
    """Takes in all that the role may read now; names of what is not the same in both databases."""
    differs: set[str] = set()
    for name in ROLES[role]:
        mine, twin = (read_sql(world.connection, name, edition.agency) for world in both)
        differs |= {
            f"{one.relation}.{column}" for one, two in zip(mine, twin, strict=True) for column in _off(one, two)
        }
        for rows in mine:
            knowledge.take(rows, read=name in PEOPLE)
    for key in KEYS[role]:
        ours, theirs = answered[key]
        found.answers[role] += len(ours)
        differs |= {f"GET {one.request.path}" for one, two in zip(ours, theirs, strict=True) if one != two}
        for answer in ours:
            if (shown := as_rows(answer)) is not None:
                knowledge.take(shown)
    return differs


def _off(one: Rows, two: Rows) -> list[str]:
    """Columns whose values are not the same, whatever the order of the rows is."""
    assert one.columns == two.columns
    if len(one.rows) != len(two.rows):
        return ["(number of rows)"]
    pairs = zip(one.columns, zip(*one.rows, strict=True), zip(*two.rows, strict=True), strict=True) if one.rows else ()
    return [name for name, mine, twin in pairs if sorted(map(repr, mine)) != sorted(map(repr, twin))]


def as_rows(answer: Answer) -> Rows | None:
    """A list of objects; None for every other form, which is made of the same rows."""
    if answer.status != 200 or dict(answer.headers).get("content-type") != "application/json":
        return None
    body = httpx.Response(200, content=answer.body).json()
    if not isinstance(body, list) or not body or not all(isinstance(one, dict) for one in body):
        return None
    columns = tuple(body[0])
    return Rows(answer.request.path, columns, [tuple(one[name] for name in columns) for one in body])


def place_of(edition: Edition) -> Place:
    table = edition.made.table
    hidden = table["conf_status"] == CONFIDENTIAL
    ends = [
        (str(part["nuts_id"].iloc[-1]), str(part["crop"].iloc[-1]))
        for part in (table[~hidden], table[hidden])
        if len(part)
    ]
    return Place(edition.agency, edition.season, ends[0], ends[-1])


def quality_shares(edition: Edition) -> dict[str, tuple[float, float]]:
    """What the quality file says of all land: shares of the estimate, by figure."""
    if edition.internal:
        return {}
    report, rows = run_report(edition, edition.small.parcels), masked(edition.made.table)
    head = head_region(set(rows["nuts_id"]), asked=None) or str(rows["nuts_id"].iloc[0])
    quality = season_quality(
        report.assessments,
        report.statistics,
        crop_areas(rows, head=head, names={}, items={}, sums=report.statistics.sum_members),
        accuracy=None,
        judged_by="folds",
        any_hidden=bool((rows["conf_status"] == CONFIDENTIAL).any()),
    )
    said = {"declared_ha": quality.declared_land, "mapped_ha": quality.seen_land}
    return {figure: (share.low, share.high) for figure, share in said.items() if share and share.low < share.high}


def needs(edition: Edition) -> dict[tuple[Cell, str], Need]:
    """What is hidden, and what each figure must keep: sensitive ones by their rule, others that they do not follow."""
    truth, report = edition.truth, edition.made.report.disclosure
    status = edition.made.table.set_index(["nuts_id", "crop"])["conf_status"]
    rules = Rules(edition.small.rules["dominance"], edition.small.rules["p_percent"])
    kept = {one.name: primary(one.contributions, one.values, truth.needed, rules) for one in truth.figures}
    given_up, weak = set(report.already_published), set(report.weakened)
    out: dict[tuple[Cell, str], Need] = {}
    for place, row in enumerate(truth.rows.to_dict("records")):
        cell, name = (str(row["nuts_id"]), str(row["crop"])), f"{row['crop']}/{row['nuts_id']}"
        if status[cell] != CONFIDENTIAL or name in given_up:
            continue
        for figure in ADDITIVE:
            value = float(row[figure])
            if figure not in AREAS or name in weak:
                out[cell, figure] = Need(value)
            else:
                out[cell, figure] = Need(value, float(kept[figure].lower[place]), float(kept[figure].upper[place]))
    return out


def joined(knowledge: Knowledge, made: list[Edition], done: dict[str, list[Finding]], role: str) -> Iterator[Finding]:
    """Of every edition alone, by a holding too, and of two editions of a season together. Roles that know the same are
    attacked once."""
    for position, edition in enumerate(made):
        facts = knowledge.editions.get(edition.run_id)
        if facts is None:
            continue
        before = [one for one in made[:position] if one.season == edition.season and one.run_id in knowledge.editions]
        together = [knowledge.editions[one.run_id] for one in before]
        key = repr((edition.run_id, facts, together))
        if key not in done:
            done[key] = [replace(one, internal=edition.internal) for one in _attacked(edition, facts)]
            for one, other in zip(before, together, strict=True):
                internal = edition.internal or one.internal
                done[key] += [replace(each, internal=internal) for each in _together(edition, facts, one, other)]
        for finding in done[key]:
            yield replace(finding, role=role)
        for text in knowledge.texts.get(edition.run_id, ()):
            yield from _said(edition, text, role)


def _said(edition: Edition, text: str, role: str) -> Iterator[Finding]:
    """Hidden figures that a text of the run writes out."""
    numbers = set(pd.Series([text]).str.findall(r"\d+\.\d+|\d+").iloc[0])
    for (cell, figure), need in needs(edition).items():
        if figure in AREAS and need.value > 0 and {f"{need.value:.6g}", repr(need.value)} & numbers:
            yield Finding(role, edition.run_id, "recovered", cell, figure, need.value, need.value, need.value, 1.0)


def _table(edition: Edition) -> Table:
    rows = edition.made.table
    return Table.of(zip(rows["nuts_id"], rows["crop"], strict=True), edition.truth.sums)


def _truth(edition: Edition) -> dict[tuple[Cell, str], float]:
    rows = edition.truth.rows
    cells = list(zip(rows["nuts_id"], rows["crop"], strict=True))
    return {
        (cell, figure): float(value)
        for figure in ADDITIVE
        for cell, value in zip(cells, rows[figure].astype(float), strict=True)
    }


def _attacked(edition: Edition, facts: Facts) -> Iterator[Finding]:
    asked, truth, table = needs(edition), _truth(edition), _table(edition)
    # a count of all parcels is a sum of the table where each counts for a crop
    whole = {figure: sum(truth[cell, figure] for cell in table.whole) for figure in facts.totals if figure in ADDITIVE}
    totals = {figure: total for figure, total in facts.totals.items() if whole.get(figure) == total}
    system = System.of(table, replace(facts, totals=totals))
    assert system.agrees(truth).all(), f"{edition.run_id}: what was read is not true of the season"
    for (cell, figure), need in asked.items():
        if (value := facts.cells.get(cell, {}).get(figure)) is not None and value > 0:
            yield Finding("", edition.run_id, "recovered", cell, figure, value, value, need.value, 1.0)
    yield from _judged(edition, attack(system, asked), asked, "narrowed")
    if own := _largest_holding(edition, set(asked)):
        sole = {name for name, (low, high) in own.items() if low == high}
        open_ = {name: Need(need.value) for name, need in asked.items() if need.is_sensitive and name not in sole}
        known = set(edition.made.report.disclosure.known_to_one)
        found = attack(system, open_, own=own)
        kept = [one for one in found if f"{one.cell[1]}/{one.cell[0]}" not in known]
        yield from _judged(edition, kept, open_, "exposed")


def _judged(edition: Edition, found: Iterable[Interval], asked: Known, kind: str) -> Iterator[Finding]:
    for one in found:
        need = asked[one.cell, one.figure]
        if not need.is_kept(one.low, one.high):
            is_found = need.is_found(one.low, one.high) and kind != "exposed"
            ends = (one.low, one.high, need.value, need.lost(one.low, one.high))
            yield Finding("", edition.run_id, "recovered" if is_found else kind, one.cell, one.figure, *ends)


def _largest_holding(edition: Edition, hidden: set[tuple[Cell, str]]) -> dict[tuple[Cell, str], tuple[float, float]]:
    """Bounds that the holding has which makes up most hidden cells alone, or else has most land: its own areas from
    below, and the figure itself where nobody else contributes."""
    truth, cells = edition.truth, _cells(edition)
    sole: dict[int, int] = {}
    land: dict[int, float] = {}
    for figure in truth.figures:
        for place, holding in zip(*(part.tolist() for part in figure.contributions.sole), strict=True):
            if (cells[place], figure.name) in hidden:
                sole[holding] = sole.get(holding, 0) + 1
    for holding, area in zip(truth.figures[0].contributions.holding, truth.figures[0].contributions.area, strict=True):
        land[int(holding)] = land.get(int(holding), 0.0) + float(area)
    if not land:
        return {}
    chosen = max(land, key=lambda holding: (sole.get(holding, 0), land[holding], holding))
    bounds: dict[tuple[Cell, str], tuple[float, float]] = {}
    for figure in truth.figures:
        parts = figure.contributions
        alone = {place for place, who in zip(*(part.tolist() for part in parts.sole), strict=True) if who == chosen}
        for place in parts.cell[parts.holding == chosen].tolist():
            name = (cells[place], figure.name)
            if name in hidden and place in alone:
                bounds[name] = (figure.values[place], figure.values[place])
    return bounds


def _cells(edition: Edition) -> list[Cell]:
    rows = edition.truth.rows
    return list(zip(rows["nuts_id"], rows["crop"], strict=True))


def _together(edition: Edition, facts: Facts, before: Edition, earlier: Facts) -> Iterator[Finding]:
    """A figure that either table shows counts as known: as long as figures agree, with all that follows; for revised
    ones by the sums alone."""
    asked, truths = needs(edition), (_truth(edition), _truth(before))
    for figure in ("declared_ha", "mapped_ha", "estimate_ha", "n_parcels"):
        both = Facts(cells={cell: dict(shown) for cell, shown in facts.cells.items()})
        for cell, shown in earlier.cells.items():
            if figure in shown:
                both.cells.setdefault(cell, {}).setdefault(figure, shown[figure])
        table = _table(edition)
        both.cells = {cell: shown for cell, shown in both.cells.items() if cell in set(table.cells)}
        system = System.of(table, both, [figure])
        for cell, name in determined(system):
            need = asked.get((cell, name))
            if need is not None and need.value > 0:
                yield Finding("", edition.run_id, "recovered", cell, name, need.value, need.value, need.value, 1.0)
        same = system.consistent()
        if not same.names or any(name not in truths[1] for name in same.names):
            continue
        true = same.agrees(truths[0])
        own = {name: need for name, need in asked.items() if name in set(same.names)}
        place = {name: number for number, name in enumerate(same.names)}
        judged = [one for one in attack(same, own) if true[place[one.cell, one.figure]]]
        yield from _judged(edition, judged, own, "narrowed")
