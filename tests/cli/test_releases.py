"""`cropmap stats release | releases | revisions`: three stages of a season, out and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cropmap.cli import run
from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.database.connection import connect
from cropmap.database.runs import ensure_season
from cropmap.dissemination.long_form import masked
from tests.database.seasons import begin, publish_run
from tests.dissemination.published import published, write_agency, write_regions

Publish = Callable[..., None]
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def publish(workplace: Path, database_url: str) -> Publish:
    """Publishes a run of the season; its agency file is agency.yaml of the working folder."""
    write_agency(workplace / "agency.yaml")

    def publish(
        run_id: str,
        *,
        mode: str = "full",
        change: Change = lambda table: table,
        internal: Sequence[str] = (),
        partial: Sequence[str] = (),
        simulated: bool = False,
    ) -> None:
        rows = change(masked(published()).fillna({"basis": "register"}))[list(STATISTIC_COLUMNS)]
        rows = rows.assign(obs_flag=rows["obs_flag"].replace("f", "e"))
        disclosure = {"mode": mode, "already_published": [], "internal": list(internal)}
        report = {"statistics": {"disclosure": disclosure, "confidentiality": mode, "partial_regions": list(partial)}}
        with connect(database_url) as connection:
            ensure_season(connection, agency="bretagne", season=2018, simulated=simulated)
            begin(connection, run_id)
            publish_run(connection, run_id, statistics=rows, report=report)

    return publish


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert run(["stats", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def release(capsys: pytest.CaptureFixture[str], stage: str) -> Any:
    return answer(capsys, "release", "agency.yaml", "--season", "2018", "--stage", stage)


def test_a_season_is_released_three_times(publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    publish("run-1")
    first = release(capsys, "first")
    assert (first["release"], first["stage"], first["new"], first["run_id"]) == (1, "first", True, "run-1")
    assert (first["cells"], first["confidential"], first["revisions"]) == (9, 1, None)
    assert release(capsys, "first") == first | {"new": False}

    publish("run-2", change=lambda t: t.assign(estimate_ha=t["estimate_ha"].replace(301_590.0, 301_690.0)))
    second = release(capsys, "provisional")
    assert (second["release"], second["against"]) == (2, "release 1 (first)")
    region = second["revisions"][0]
    assert (region["revised"], region["unchanged"], region["mar_ha"]) == (1, 3, 25.0)
    third = release(capsys, "final")
    assert (third["release"], [level["revised"] for level in third["revisions"]]) == (3, [0, 0])

    listed = answer(capsys, "releases", "agency.yaml")["releases"]
    assert [(one["number"], one["stage"], one["run_id"], one["intact"]) for one in listed] == [
        (1, "first", "run-1", True),
        (2, "provisional", "run-2", True),
        (3, "final", "run-2", True),
    ]

    compared = answer(capsys, "revisions", "agency.yaml", "--season", "2018", "--against", "1", "--out", "all.csv")
    assert compared["what"] == "release 3 (final) against release 1 (first)"
    (changed,) = [row for row in compared["rows"] if row["state"] == "revised"]
    assert (changed["nuts_id"], changed["crop"], changed["change_ha"]) == ("FRH0", "C1110", 100.0)
    assert len(pd.read_csv("all.csv")) == 9
    assert run(["stats", "revisions", "--season", "2018", "--agency", "bretagne", "--release", "2"]) == 0
    assert "release 2 (provisional) against release 1 (first); 8 cells not shown" in capsys.readouterr().out

    write_regions(Path("nuts.geojson"))
    for number in ("1", "3"):
        assert run(["report", "agency.yaml", "--season", "2018", "--release", number, "--out", f"{number}.html"]) == 0
    assert run(["report", "agency.yaml", "--season", "2018", "--out", "now.html"]) == 0
    assert Path("now.html").read_text() == Path("3.html").read_text(), "what is published is release 3"
    assert "release 1 (first)" in Path("1.html").read_text()
    assert "Release 3 (final) against release 2 (provisional)" in Path("3.html").read_text()
    assert "301\u202f590" in Path("1.html").read_text()
    said = json.loads(Path("1.quality.json").read_text())["report"]
    assert (said["release"], said["run_id"], said["for_publication"]) == ("release 1 (first)", "run-1", True)

    for number, flag in (("1", "f"), ("2", "ep"), ("3", "e")):
        export = ["stats", "export", "agency.yaml", "--season", "2018", "--release", number]
        assert run([*export, "--out", "out.csv"]) == 0
        rows = pd.read_csv("out.csv").set_index(["nuts_id", "crop"])
        assert rows.loc[("FRH0", "C1110"), "obs_flag"] == flag
        assert rows.loc[("FRH0", "C1110"), "release"] == int(number)
        assert run([*export, "--format", "sdmx-csv-2", "--out", "out.csv"]) == 0
        assert f"301.{590 if number == '1' else 690}00,{flag}," in Path("out.csv").read_text()


def test_what_cannot_be_released_is_one_line(publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert run(["stats", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, "Traceback" in err) == ("", False)
        return err.strip().splitlines()[-1]

    out = ["release", "agency.yaml", "--season", "2018", "--stage"]
    assert "the season is not published" in refused(*out, "first")
    publish("run-1", mode="off")
    assert "for internal use: its hidden cells can be recovered (statistics.confidentiality is not full)" in refused(
        *out, "first"
    )
    assert "season 2018 has no release" in refused("revisions", "--season", "2018")
    publish("run-2")
    release(capsys, "final")
    assert "a season does not become first again" in refused(*out, "first")
    assert "release 1 (final) is the first: nothing to compare" in refused("revisions", "--season", "2018")
    assert "There are: release 1 (final)" in refused("export", "--season", "2018", "--release", "7")
    publish("run-3", change=lambda t: t.assign(obs_flag="f"))
    publish("run-4", change=lambda t: t.iloc[:0])
    assert "it is a forecast before declarations" in refused(*out, "final")


def test_what_needs_a_word_is_refused_without_it(publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["stats", "release", "agency.yaml", "--season", "2018", "--stage", "final"]

    def refused(*words: str) -> str:
        capsys.readouterr()
        assert run([*out, *words]) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    publish("run-1", internal=["AUDIT_REFUSED"])
    assert "hidden figures can be recovered" in refused("--allow", "unknown-holdings", "--allow", "simulation")
    publish("run-2", internal=["HOLDINGS_UNKNOWN"], simulated=True)
    assert "no parcel names its holding" in refused()
    assert "--allow unknown-holdings" in refused("--allow", "simulation")
    assert "run-2 is a simulation" in refused("--allow", "unknown-holdings")
    assert run([*out, "--allow", "unknown-holdings", "--allow", "simulation", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulated"] is True
    (listed,) = answer(capsys, "releases", "agency.yaml")["releases"]
    assert listed["simulated"] is True


def test_marks_leave_with_every_format(publish: Publish, tmp_path: Path) -> None:
    publish("run-1", simulated=True, partial=["FRH0"])
    for format_ in ("csv", "json", "parquet", "xlsx", "sdmx-csv", "sdmx-csv-2", "json-stat", "tsv"):
        out = tmp_path / f"out.{format_}"
        export = ["stats", "export", "agency.yaml", "--season", "2018", "--format", format_, "--out", str(out)]
        assert run(export) == 0, format_
    rows = pd.read_csv(tmp_path / "out.csv")
    assert rows["simulated"].all()
    assert set(rows["nuts_id"][rows["partial_region"]]) == {"FRH0"}
    assert pd.read_parquet(tmp_path / "out.parquet")["simulated"].all()
    assert all(row["simulated"] is True for row in json.loads((tmp_path / "out.json").read_text()))
    book = pd.read_excel(tmp_path / "out.xlsx", sheet_name=None)
    assert book["statistics"]["simulated"].astype(bool).all()
    notes = pd.read_excel(tmp_path / "out.xlsx", sheet_name="notes", header=None, index_col=0)[1]
    assert (
        "simulation: nothing here was observed or declared" in notes["simulated"].tolist()
    )  # and the column's meaning
    assert notes["regions covered in part"] == "FRH0"
    for format_ in ("sdmx-csv", "sdmx-csv-2"):
        table = pd.read_csv(tmp_path / f"out.{format_}", keep_default_na=False)
        assert set(table["COMMENT_OBS"]) == {"simulation: nothing here was observed or declared"}
        assert table["OBS_FLAG"][table["OBS_VALUE"] != ""].str.contains("d").all()
        assert "FRH0" not in set(table["geo"])
    document = json.loads((tmp_path / "out.json-stat").read_text())
    assert document["label"].endswith("(simulation)")
    assert "simulated: simulation: nothing here was observed or declared" in document["note"]
    assert all("d" in text for key, text in document["status"].items() if key in document["value"])
    assert "FRH0" not in document["dimension"]["geo"]["category"]["index"]
    lines = (tmp_path / "out.tsv").read_text().splitlines()[1:]
    assert all(line.split("\t")[0].split(",")[3] != "FRH0" for line in lines)
    assert all("d" in cell or ":" in cell for line in lines for cell in line.split("\t")[1:])
    assert (
        run(["stats", "compare", "--statistics", str(tmp_path / "out.csv"), "--eurostat", str(tmp_path / "out.tsv")])
        == 0
    )


def test_a_real_season_has_no_mark(publish: Publish, tmp_path: Path) -> None:
    publish("run-1")
    for format_ in ("csv", "sdmx-csv", "json-stat"):
        out = tmp_path / f"out.{format_}"
        assert run(["stats", "export", "--season", "2018", "--format", format_, "--out", str(out)]) == 0
    assert not pd.read_csv(tmp_path / "out.csv")[["simulated", "partial_region"]].any(axis=None)
    assert pd.read_csv(tmp_path / "out.sdmx-csv")["COMMENT_OBS"].isna().all()
    assert "simulation" not in (tmp_path / "out.json-stat").read_text()
