"""Every case of `cases/`: what is to come of it, or the test that says so. The expectations are those of its README.

A case is a folder, or a folder within it that holds an agency file or a catalogue of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEAREST = r"{} parcels lie outside the boundaries, .* 1 : 1 million"


@dataclass(frozen=True)
class Read:
    """The file is read and every row accounted for."""

    accepted: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """one expression for each note; there are no others"""
    stops: bool = False
    """a load would want a word"""


@dataclass(frozen=True)
class Refused:
    """`cropmap declarations quality` ends with 2 and one line."""

    says: str


@dataclass(frozen=True)
class Observed:
    """`cropmap observe` leaves this ledger: status, or reason, of every item."""

    ledger: Mapping[str, int]
    keys: Mapping[str, Any] = field(default_factory=dict)
    """of `acquisitions` in the agency file, beside those of the case"""
    served: Mapping[str, Any] | None = None
    """how the case's own server answers; None for a static catalogue"""
    s3: bool = False
    """the server is the S3 endpoint too, with keys in the environment"""
    says: str = ""
    """the line that it ends with where nothing can be read"""


@dataclass(frozen=True)
class Listed:
    """What of a catalogue is usable, and why the rest is not."""

    usable: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Elsewhere:
    test: str
    """file and function"""


Case = Read | Refused | Observed | Listed | Elsewhere

TWELVE, SIX = Read(12), Read(6)
UNREAD = Refused(r"in another encoding than .*Set declarations\.encoding")
CUT_AT_A_PAGE = Refused(r"of (25,113|60) features \(numberMatched\)")


def outside(order: str) -> Read:
    return Read(
        0,
        {"OUTSIDE_REGIONS": 6},
        (rf"declarations\.axis_order: {order}, 6 of 6 do", "6 rows lie outside", "most rows are rejected"),
    )


INPUT: dict[str, Case] = {
    "01-prj-without-datum": Refused(r"names no datum .*86 to 149 m off\. Set declarations\.crs, such as EPSG:31468"),
    "01-prj-without-datum/with-crs": Read(12, notes=("EPSG:31468 .* is used, 149 m apart",)),
    "02-geojson-projected-without-crs": Refused(r"no degrees .*Set declarations\.crs .*EPSG:25832"),
    "02-geojson-projected-without-crs/with-crs": Read(12, notes=("EPSG:25832 .* is used",)),
    "03-csv-dialects/bom-cr": SIX,
    "03-csv-dialects/ewkt": SIX,
    "03-csv-dialects/hexewkb": SIX,
    "03-csv-dialects/hexwkb": SIX,
    "03-csv-dialects/ragged": Read(6, {"UNUSABLE_ROW": 1}),
    "03-csv-dialects/sep-line": SIX,
    "03-csv-dialects/thousands": SIX,
    "03-csv-dialects/thousands-wrong": Read(0, {"AREA_CONTRADICTS_GEOMETRY": 6}, ("most rows are rejected",)),
    "03-csv-dialects/trailing-total": Read(6, {"MISSING_CODE": 1, "MISSING_PARCEL_ID": 1}),
    "03-csv-dialects/utf16": SIX,
    "03-csv-dialects/utf16-said": SIX,
    "04-multipart-exploded": Read(6, notes=("6 rows are parts of 3 parcels",)),
    "05-catch-crop-row-first": Read(
        6, {"DUPLICATE_GEOMETRY": 6}, ("declared twice", r"exclude: \{use: \[catch crop\]\}"), stops=True
    ),
    "05-catch-crop-row-first/centimetre": Read(
        12, notes=(r"24\.0 ha \(50\.0%\) are declared twice", r"exclude: \{use: \[catch\]\}"), stops=True
    ),
    "06-dbf-codepages/cp1250-cpg-says-utf8": UNREAD,
    "06-dbf-codepages/cp1250-cpg-says-utf8-told": SIX,
    "06-dbf-codepages/cp1250-dbf-says-cp1252": Read(
        3, {"UNKNOWN_CODE": 3}, (r"3 rows .*declarations\.encoding: CP1250",)
    ),
    "06-dbf-codepages/cp1250-dbf-says-cp1252-told": SIX,
    "06-dbf-codepages/cp1250-says-nothing": UNREAD,
    "06-dbf-codepages/cp1250-says-nothing-told": SIX,
    "06-dbf-codepages/cp852": Read(5, {"UNKNOWN_CODE": 1}),  # that code page has no dash
    "06-dbf-codepages/cpg-1250": SIX,
    "06-dbf-codepages/cpg-65001": SIX,
    "06-dbf-codepages/cpg-ANSI-1250": SIX,
    "06-dbf-codepages/utf8-dbf-says-cp1252": Read(
        0, {"UNKNOWN_CODE": 6}, (r"6 rows .*declarations\.encoding: UTF-8", "most rows are rejected")
    ),
    "07-measured-polygons/polygonm": Read(6, notes=("heights or measures",)),
    "07-measured-polygons/polygonzm": Read(6, notes=("heights or measures",)),
    "08-parquet/crs-null": TWELVE,
    "08-parquet/dots": TWELVE,
    "08-parquet/dots2": TWELVE,
    "08-parquet/fiboa": TWELVE,
    "08-parquet/geoarrow-encoding": TWELVE,
    "08-parquet/native-no-geo": TWELVE,
    "08-parquet/native-no-geo-no-crs": Refused(r"no degrees .*Set declarations\.crs .*EPSG:25832"),
    "08-parquet/native-with-geo2": TWELVE,
    "08-parquet/partitioned": TWELVE,
    "08-parquet/two-geometries": TWELVE,
    "08-parquet/types": TWELVE,
    "08-parquet/wkb-no-geo": TWELVE,
    "09-containers/gdb-zip-flat": TWELVE,
    "09-containers/gdb-zip-folder": TWELVE,
    "09-containers/gpkg-wal": Read(
        6, {"DUPLICATE_GEOMETRY": 6}, ("declared twice", "would be left out"), stops=True
    ),  # the rows that were in the journal lie on the others
    "09-containers/gpkg-wal-lost": SIX,
    "09-containers/shp-deleted-dbf-rows": Read(10),
    "09-containers/shp-truncated": Refused("is cut off: it should have 1732 bytes and has 1154"),
    "09-containers/shp-without-shx": TWELVE,
    "09-containers/zip-backslashes": TWELVE,
    "09-containers/zip-cp437-umlaut": TWELVE,
    "09-containers/zip-in-zip": TWELVE,
    "09-containers/zip-upper-case": TWELVE,
    "10-gml-axes/http-4258-latlon": SIX,
    "10-gml-axes/pl-short-2180-northing-first": SIX,
    "10-gml-axes/pl-urn-2180-easting-first-wrong": SIX,  # by its own words; `axis_order` says otherwise
    "10-gml-axes/pl-urn-2180-northing-first": SIX,
    "10-gml-axes/short-4326-latlon": Read(
        0, {"OUTSIDE_REGIONS": 6}, ("set axis_order: northing_first", *outside("northing_first").notes)
    ),
    "10-gml-axes/short-4326-lonlat": SIX,
    "10-gml-axes/urn-25832-multisurface": SIX,
    "10-gml-axes/urn-3035-easting-first-wrong": outside("easting_first"),
    "10-gml-axes/urn-3035-northing-first": SIX,
    "10-gml-axes/urn-31468-northing-first": SIX,
    "10-gml-axes/urn-4326-latlon": SIX,
    "10-gml-axes/xml-25832-easting": SIX,
    "11-wfs-answer-cut-at-page": CUT_AT_A_PAGE,
    "11-wfs-answer-cut-at-page/esri-exceeded": CUT_AT_A_PAGE,
    "11-wfs-answer-cut-at-page/geojson": CUT_AT_A_PAGE,
    "11-wfs-answer-cut-at-page/load-over-full": CUT_AT_A_PAGE,
    "21-cdse-split-tile": Observed({"observed": 2}),
    "23-boa-offset-flag-wrong/bright-soil": Elsewhere(
        "stages/test_set_aside.py::test_the_flag_that_is_wrong_over_soil_and_over_vegetation"
    ),
    "23-boa-offset-flag-wrong/vegetation": Elsewhere(
        "stages/test_set_aside.py::test_the_flag_that_is_wrong_over_soil_and_over_vegetation"
    ),
    "24-planetary-computer/baseline-0509": Observed({"observed": 1}, {"offset": "baseline"}),
    "24-planetary-computer/signed": Observed({"observed": 1}, served={"need_query": "sig="}),
    "24-planetary-computer/unsigned": Observed({}, served={"need_query": "sig="}, says="wants keys or a signature"),
    "25-cdse-s3-jp2/env-set": Observed({"observed": 1}, served={"s3": True}, s3=True),
    "25-cdse-s3-jp2/no-credentials": Observed(
        {}, served={"s3": True}, says="need keys. Set CROPMAP_CATALOG_CDSE_ACCESS_KEY_ID"
    ),
    "25-cdse-s3-jp2/requester-pays": Observed({"observed": 1}, served={"s3": True, "requester_pays": True}, s3=True),
    "26-api-with-one-invalid-collection": Elsewhere("stages/test_catalog_cases.py::test_invalid_collections"),
    "26-api-with-one-invalid-collection/links-null": Elsewhere(
        "stages/test_catalog_cases.py::test_invalid_collections"
    ),
    "26-api-with-one-invalid-collection/open-interval-dots": Elsewhere(
        "stages/test_catalog_cases.py::test_invalid_collections"
    ),
    "27-api-that-wants-a-token": Elsewhere("stages/test_catalog_cases.py::test_a_token"),
    "28-bbox-of-six-numbers": Observed({"observed": 1}),
    "30-paging/429": Observed(
        {"observed": 5}, served={"page": 2, "busy": [(429, [("Retry-After", "1")]), (429, [("Retry-After", "0")])]}
    ),
    "30-paging/get": Observed({"observed": 5}, served={"page": 2, "method": "GET"}),
    "30-paging/merge": Observed({"observed": 5}, served={"page": 2, "merge": True}),
    "31-datetimes-and-lax-fields": Observed({"observed": 10, "INCOMPLETE_METADATA": 1}),
    "32-same-scene-from-two-stations": Observed({"observed": 1, "DUPLICATE": 1}),
    "33-nuts-files/2021-file-without-year": SIX,  # its regions are the same in both editions
    "33-nuts-files/bundle-first-layer-is-lines": SIX,
    "33-nuts-files/geojson-3035-no-crs": SIX,
    "33-nuts-files/label-points-file": Refused("no polygons .*Use a NUTS_RG file"),
    "33-nuts-files/level3-only": SIX,
    "33-nuts-files/nested-zip": SIX,
    "33-nuts-files/nuts2json": SIX,
    "33-nuts-files/padded-dbf": SIX,
    "33-nuts-files/shp-zip": SIX,
    "33-nuts-files/topojson-3035": SIX,
    "33-nuts-files/topojson-4326": SIX,
    "34-cog-without-crs": Observed({"observed": 1, "WRONG_CRS": 2}),
    "35-some-band-files-404": Observed(
        {"observed": 1, "UNREADABLE_FILE": 1}, served={"gone": ("s1/B02", "s1/B03", "s1/B04")}
    ),
    "36-item-without-scl": Observed({"observed": 1, "MISSING_BAND": 1}),
    "37-metropole-and-overseas": Elsewhere(
        "stages/test_catalog_cases.py::test_overseas_is_searched_where_the_parcels_are"
    ),
    "38-parcels-at-coast-and-border/DK": Read(99, {"UNKNOWN_CODE": 1}),
    "38-parcels-at-coast-and-border/FR": Read(100, notes=(NEAREST.format(2),)),
    "38-parcels-at-coast-and-border/LV": Refused("100 of 420,863 features"),
    "38-parcels-at-coast-and-border/NL": Read(53, {"NOT_A_CROP": 47}, (NEAREST.format(5),)),
    "38-parcels-at-coast-and-border/SE": Read(10, notes=(NEAREST.format(4),)),
    "38-parcels-at-coast-and-border/own-NL": Read(15, notes=(NEAREST.format(5), "2 accepted parcels lie on one")),
    "39-placeholder-holdings": Read(60, notes=(r"holding of 50 parcels .*'NULL' .*40 .*'0' .*10",)),
    "40-nuts-2021-as-2024": Refused(r"NUTS 2024 does not have NL111, .*: the file is of NUTS 2016, 2021"),
    "41-api-without-post": Elsewhere("stages/test_catalog_cases.py::test_an_api_without_post"),
    "42-antimeridian": Elsewhere("stages/test_catalog_cases.py::test_an_item_across_the_antimeridian_is_listed"),
}

SECURITY: dict[str, Case] = {
    "01-truncated-gml": Elsewhere("sources/test_completeness.py::test_the_gml_that_was_cut_at_a_third"),
    "02-vrt-in-gpkg-reads-files": Elsewhere("sources/test_drivers.py::test_hostile_cases_through_every_command"),
    "03-declarations-ssrf": Elsewhere("sources/test_drivers.py::test_hostile_cases_through_every_command"),
    "04-slow-readers-exhaust-pool": Elsewhere("serving/test_load.py::test_clients_that_do_not_read_hold_up_nobody"),
    "05-api-collapse-above-48-concurrent": Elsewhere(
        "serving/test_load.py::test_far_more_requests_than_connections_are_all_answered"
    ),
    "06-roles-rebuild-suppressed": Elsewhere(
        "database/test_readers.py::test_no_hidden_cell_is_rebuilt_from_what_the_reader_reaches"
    ),
    "07-suppression-fails-own-audit": Elsewhere(
        "statistics/test_hiding.py::test_no_small_season_stops_or_gives_a_holding_away"
    ),
    "08-stac-item-id-path-traversal/trav": Listed(6, {"INVALID_ID": 2}),
    "09-stac-bad-items-stop-season/badgeom": Listed(6, {"INCOMPLETE_METADATA": 1}),
    "09-stac-bad-items-stop-season/hrefs": Listed(
        6, {"FORBIDDEN_ADDRESS": 12, "UNSUPPORTED_FORMAT": 3, "DUPLICATE": 1}
    ),
    "09-stac-bad-items-stop-season/idlong": Listed(6, {"INVALID_ID": 1}),
    "09-stac-bad-items-stop-season/nul": Listed(6, {"INVALID_ID": 1}),
}

OUTPUT: dict[str, Case] = {
    "01-breizhcrops-edge": Elsewhere(
        "sources/test_breizhcrops_files.py::test_series_that_cannot_be_used_are_counted_by_reason"
    ),
    "03-confidentiality/nohold": Elsewhere(
        "statistics/test_areas.py::test_a_table_without_any_holding_is_for_internal_use"
    ),
    "04-onnx-edges": Elsewhere(
        "model/test_networks.py::test_a_series_of_missing_bands_or_without_a_step_gives_finite_logits"
    ),
    "05-mlflow-deleted": Elsewhere(
        "stages/test_training.py::test_what_people_deleted_in_mlflow_stops_neither_training_nor_rollback"
    ),
    "06-api": Elsewhere("serving/test_routes.py::test_parameters_that_no_route_knows_and_repeated_ones_are_refused"),
    "07-mlflow-artifact-root": Elsewhere("model/test_tracking_server.py::test_a_server_keeps_the_files_itself"),
    "08-prefect-zombies": Elsewhere(
        "flows/test_stopped.py::test_an_interrupted_season_ends_at_once_and_like_an_undisturbed_one"
    ),
    "10-mlflow-password": Elsewhere(
        "flows/test_secrets.py::test_no_secret_stands_in_anything_that_seasons_leave_behind"
    ),
    "11-run-log-zombie": Elsewhere(
        "flows/test_stopped.py::test_an_interrupted_season_ends_at_once_and_like_an_undisturbed_one"
    ),
    "12-schedule-year": Elsewhere("test_seasons.py::test_the_season_is_that_of_the_window"),
    "14-regional-crop/hop": Elsewhere(
        "stages/test_regional_crop.py::test_a_crop_that_the_judge_never_saw_is_not_assessed_and_counted"
    ),
    "15-legend-gains-a-class/kterm": Elsewhere(
        "stages/test_training.py::test_a_class_that_nobody_declares_changes_nothing"
    ),
    "17-schedule-default-home/agency": Elsewhere(
        "flows/test_deployments.py::test_a_schedule_without_a_home_is_refused"
    ),
    "18-old-season-after-new-legend/2018": Elsewhere(
        "stages/test_gate_states.py::test_in_every_state_the_season_goes_on_or_a_command_leads_out"
    ),
    "18-old-season-after-new-legend/2019": Elsewhere(
        "stages/test_gate_states.py::test_in_every_state_the_season_goes_on_or_a_command_leads_out"
    ),
    "19-odd-names-and-tables/odd": Elsewhere(
        "dissemination/test_spreadsheets.py::test_what_a_spreadsheet_would_run_is_guarded_and_comes_back"
    ),
    "20-schedule-words": Refused(r"schedule.*(Pariss|never comes|no day|30 2 31 2)"),
    "21-winter-window/winter": Elsewhere("test_seasons.py::test_the_season_is_that_of_the_window"),
    "21-winter-window/oneclass": Elsewhere(
        "flows/test_season.py::test_too_few_parcels_of_every_crop_end_in_register_statistics"
    ),
}

CASES: dict[str, Case] = {
    f"{part}/{name}": case
    for part, cases in (("input", INPUT), ("security", SECURITY), ("output", OUTPUT))
    for name, case in cases.items()
}
