"""What the register holds of one parcel id: every version of its declaration, and rows that were rejected."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from cropmap.database.connection import Connection, database_errors


@database_errors()
def declaration_versions(connection: Connection, *, agency: str, season: int, parcel_id: str) -> list[dict[str, Any]]:
    """Rows of view `declaration_log`, the first version first; empty where the id was never accepted."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT version, change, valid_from, valid_to, source_file, row_number, crop_code, holding_id,"
            " declared_area_ha, area_ha FROM declaration_log"
            " WHERE (agency, season, parcel_id) = (%s, %s, %s) ORDER BY version",
            (agency, season, parcel_id),
        ).fetchall()


@database_errors()
def rejections_of(connection: Connection, *, agency: str, season: int, parcel_id: str) -> list[dict[str, Any]]:
    """source_file, row_number, reason, detail of the rows that named this parcel and were not accepted."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT source_file, row_number, reason, detail FROM rejected_declaration"
            " WHERE (agency, season, parcel_id) = (%s, %s, %s) ORDER BY source_file, row_number, reason",
            (agency, season, parcel_id),
        ).fetchall()
