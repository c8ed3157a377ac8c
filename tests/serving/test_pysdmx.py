"""Released crop areas as SDMX over HTTP, asked for and read by pysdmx, the client of the SDMX sponsors."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pysdmx.api.qb import (
    ApiVersion,
    DataContext,
    DataFormat,
    DataQuery,
    RestService,
    StructureFormat,
    StructureQuery,
    StructureReference,
    StructureType,
)
from pysdmx.io import get_datasets, read_sdmx

from cropmap.dissemination.long_form import DIMENSIONS
from tests.dissemination.published import EXPECTED
from tests.serving.released_seasons import Service

LATEST = EXPECTED | {("C1110", "AR_THS_HA", "FRH0"): (302.0, "e", "")}
VERSIONS = {ApiVersion.V1_5_0: "2.1", ApiVersion.V2_1_0: "3.0"}


@pytest.fixture(params=list(VERSIONS), ids=list(VERSIONS.values()))
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ApiVersion:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked: ApiVersion = request.param
    return asked


class KeyedService(RestService):
    """pysdmx 1.21 has no other way to send a header."""

    def __init__(self, service: Service, version: ApiVersion, data_format: DataFormat) -> None:
        super().__init__(
            f"{service.url}/sdmx/{VERSIONS[version]}",
            version,
            data_format=data_format,
            structure_format=StructureFormat.SDMX_ML_2_1,
        )
        self._headers["X-API-Key"] = service.keys["public"]


def described(service: Service, version: ApiVersion) -> str:
    query = StructureQuery(StructureType.DATAFLOW, "bretagne", "CROP_AREA", references=StructureReference.DESCENDANTS)
    return KeyedService(service, version, DataFormat.SDMX_ML_2_1_GEN).structure(query).decode()


def test_pysdmx_reads_the_structure(service: Service, version: ApiVersion) -> None:
    message = read_sdmx(described(service, version), validate=True)
    (structure,) = message.get_data_structure_definitions()
    assert [one.id for one in structure.components.dimensions] == list(DIMENSIONS)
    assert (structure.agency, structure.id) == ("bretagne", "CROP_AREA")
    assert {one.id for one in message.get_codelists()} >= {"CL_CROPS", "CL_CONF_STATUS"}


@pytest.mark.parametrize(
    "data_format",
    [DataFormat.SDMX_ML_2_1_GEN, DataFormat.SDMX_ML_2_1_STR, DataFormat.SDMX_CSV_1_0_0, DataFormat.SDMX_CSV_2_0_0],
    ids=lambda one: one.name,
)
def test_pysdmx_reads_the_figures(service: Service, version: ApiVersion, data_format: DataFormat) -> None:
    """SDMX-ML is held against the official schemas before it is read."""
    context = DataContext.DATAFLOW if version >= ApiVersion.V2_0_0 else DataContext.ALL
    query = DataQuery(context, "bretagne", "CROP_AREA", last_n_obs=1)
    data = KeyedService(service, version, data_format).data(query).decode()
    (data_set,) = get_datasets(data, described(service, version), validate=True)
    rows = [{str(name): value for name, value in row.items()} for row in data_set.data.to_dict("records")]
    assert {str(row["TIME_PERIOD"]) for row in rows} == {"2018"}
    found = {(row["crops"], row["strucpro"], row["geo"]): (number(row), word(row, "CONF_STATUS")) for row in rows}
    assert found == {key: (value, status) for key, (value, _, status) in LATEST.items()}


def number(row: dict[str, Any]) -> float | None:
    value = row.get("OBS_VALUE")
    missing = value in ("", None) or math.isnan(float(str(value)))
    return None if missing else float(str(value))


def word(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
