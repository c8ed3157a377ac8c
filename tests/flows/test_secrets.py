"""A secret in every setting, and none in what two seasons leave behind, one that fails and one that succeeds.

Searched: stdout and stderr, every file of the home (logs, store, Prefect's database and files, MLflow's), every row of
the database.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import yaml
from psycopg import sql

from cropmap.cli import run
from cropmap.database.connection import connect
from cropmap.simulation.season import simulate_season

YEAR = 2018
SECRETS = {
    "CROPMAP_DATABASE_URL": "dB7/k@x+9%w",
    "MLFLOW_TRACKING_URI": "mL7/k@x+9%w",
    "MLFLOW_TRACKING_PASSWORD": "mPq7+kx9ww",
    "MLFLOW_TRACKING_TOKEN": "mTk7kx9wwtoken",
    "AWS_ACCESS_KEY_ID": "AKIAQ7KX9WWACCESS",
    "AWS_SECRET_ACCESS_KEY": "aWs7/kx+9secret",
    "AWS_SESSION_TOKEN": "aTk7/kx+9session",
    "PGPASSWORD": "pG7kx9wword",
    "PREFECT_API_AUTH_STRING": "pR7kx9wprefect",
    "CROPMAP_STAC_HEADERS": "hD7kx9wheader",
    "GDAL_HTTP_USERPWD": "gD7kx9wgdal",
}
"""variable: what of its value nobody may see"""
ROLE: Final = "keeper_of_a_password"


def forms(secret: str) -> set[bytes]:
    """As programs write it."""
    encoded = quote(secret, safe="")
    texts = {secret, encoded, encoded.lower(), quote(secret), json.dumps(secret)[1:-1]}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode())}


@dataclass
class Installation:
    folder: Path
    database_url: str
    capsys: pytest.CaptureFixture[str]
    said: list[bytes] = field(default_factory=list)

    def environment(self, mlflow: str) -> dict[str, str]:
        place = self.database_url.partition("@")[2].partition("&passfile")[0]
        password = quote(SECRETS["CROPMAP_DATABASE_URL"], safe="")
        values = {**SECRETS, "CROPMAP_DATABASE_URL": f"postgresql://{ROLE}:{password}@{place}"}
        values["MLFLOW_TRACKING_URI"] = mlflow
        values["PREFECT_API_AUTH_STRING"] = f"cropmap:{SECRETS['PREFECT_API_AUTH_STRING']}"
        values["CROPMAP_STAC_HEADERS"] = f"Authorization: Bearer {SECRETS['CROPMAP_STAC_HEADERS']}"
        values["GDAL_HTTP_USERPWD"] = f"me:{SECRETS['GDAL_HTTP_USERPWD']}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "CROPMAP"))}
        return {
            **inherited,
            **values,
            "CROPMAP_HOME": str(self.folder / "home"),
            "CROPMAP_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *arguments: str, mlflow: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "cropmap", *arguments],
            env=self.environment(mlflow) | more,
            capture_output=True,
            timeout=900,
            check=False,
            cwd=self.folder,
        )
        self.said += [done.stdout, done.stderr]
        return done

    def ask(self, *arguments: str, mlflow: str, **more: str) -> int:
        """A small command, in this process."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "CROPMAP"))}
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in (self.environment(mlflow) | more).items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            code = run(list(arguments))
        self.said += [text.encode() for text in self.capsys.readouterr()]
        return code

    def left_behind(self) -> Iterator[tuple[str, bytes]]:
        yield from ((f"output {n}", text) for n, text in enumerate(self.said))
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        with connect(self.database_url) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                rows = connection.execute(sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(table)))
                yield f"table {table}", "\n".join(row[0] for row in rows).encode()

    def found(self, secrets: Mapping[str, str] = SECRETS) -> list[str]:
        wanted = {name: forms(secret) for name, secret in secrets.items()}
        return [
            f"{name} in {place}"
            for place, content in self.left_behind()
            for name, several in wanted.items()
            if any(form in content for form in several)
        ]


@pytest.fixture
def installation(tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]) -> Installation:
    simulate_season(tmp_path / "inputs", parcels=60, seed=4, season=YEAR, dates=4)
    path = tmp_path / "inputs" / "agency.yaml"
    document = yaml.safe_load(path.read_text())
    document["model"] = {
        "networks": ["lstm"],
        "architecture": "lstm",
        "epochs": 1,
        "min_steps": 3,
        "folds": {"by": "block", "n": 2, "neighbour_distance_m": 0},
    }
    document["assessment"] = {"min_class_parcels": 3, "min_observations": 1, "clean_up_rounds": 0}
    path.write_text(yaml.safe_dump(document))
    with connect(database_url) as connection:
        password = sql.Literal(SECRETS["CROPMAP_DATABASE_URL"])
        connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(sql.Identifier(ROLE), password))
    return Installation(tmp_path, database_url, capsys)


def test_no_secret_stands_in_anything_that_seasons_leave_behind(installation: Installation) -> None:
    season = ["season", "run", str(installation.folder / "inputs" / "agency.yaml"), "--season", str(YEAR)]
    away = f"http://ops:{quote(SECRETS['MLFLOW_TRACKING_URI'], safe='')}@127.0.0.1:9"
    failed = installation.run(*season, mlflow=away)
    assert failed.returncode != 0
    assert b"http://ops:***@127.0.0.1:9: MLflow cannot go on" in failed.stderr
    # the same run ends well later, and its reason is gone from the run log then
    with connect(installation.database_url) as connection:
        details = [row[0] for row in connection.execute("SELECT detail FROM run WHERE detail IS NOT NULL")]
    assert any("MLflow cannot go on" in detail for detail in details)
    assert not any("127.0.0.1" in detail or str(installation.folder) in detail for detail in details)
    assert installation.found() == []
    for command in (["settings"], ["settings", "--json"], ["doctor"], ["db", "url"], ["db", "status"]):
        assert installation.ask(*command, mlflow=away) in (0, 1)
    secret_store = "s3://AKIAQ7KX9WWACCESS:aWs7%2Fkx%2B9secret@bucket/x"
    assert installation.ask("doctor", mlflow=away, CROPMAP_STORE=secret_store) == 1
    malformed = "postgresql://me:dB7/k@x+9%w@h/x"
    assert installation.ask("db", "status", mlflow=away, CROPMAP_DATABASE_URL=malformed) == 2

    done = installation.run(*season, mlflow=f"sqlite:///{installation.folder / 'mlflow.db'}")
    assert done.returncode == 0, done.stderr.decode()
    assert installation.found() == []
    assert installation.found({"what is not secret": "bretagne"}), "the search finds what is there"
