-- What an amendment leaves behind, so that the register of any moment can be read again.

-- Where the parcel has another outline by now, the earlier version keeps its own place too.
ALTER TABLE declaration ADD COLUMN nuts_id text, ADD COLUMN home_tile text;

-- Of which outlines an acquisition's observations are: changed outlines make other observations, and other runs.
ALTER TABLE acquisition ADD COLUMN parcel_set text;

-- Every version of every declaration, and how it differs from the one before. A version that ended without a
-- following one was withdrawn.
CREATE VIEW declaration_log AS
SELECT agency, season, parcel_id, version, valid_from, valid_to,
       CASE WHEN before_version IS NULL THEN 'new'
            WHEN before_valid_to < valid_from THEN 'came back'
            WHEN crop_code <> before_crop_code AND wkb <> before_wkb THEN 'crop and outline changed'
            WHEN crop_code <> before_crop_code THEN 'crop changed'
            WHEN wkb <> before_wkb THEN 'outline changed'
            ELSE 'other changes' END AS change,
       crop_code, holding_id, declared_area_ha, area_ha, nuts_id, row_number, source_file, source_hash
FROM (
    SELECT v.*, lag(version) OVER earlier AS before_version, lag(valid_to) OVER earlier AS before_valid_to,
           lag(crop_code) OVER earlier AS before_crop_code, lag(wkb) OVER earlier AS before_wkb
    FROM (
        SELECT agency, season, parcel_id, d.version, d.valid_from, d.valid_to, d.crop_code, d.holding_id,
               d.declared_area_ha, d.area_ha, d.row_number, d.source_file, d.source_hash,
               coalesce(d.wkb, p.wkb) AS wkb, CASE WHEN d.wkb IS NULL THEN p.nuts_id ELSE d.nuts_id END AS nuts_id
        FROM declaration d JOIN parcel p USING (agency, season, parcel_id)) v
    WINDOW earlier AS (PARTITION BY agency, season, parcel_id ORDER BY version)) versions;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        GRANT SELECT ON declaration_log TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON declaration_log TO cropmap_writer;
    END IF;
END
$$;
