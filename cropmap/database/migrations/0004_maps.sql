-- Maps inside the database, only where PostGIS is available. `install_maps` is called after every upgrade, so a server
-- that gets PostGIS later gets its maps with the next `cropmap db upgrade`. Without PostGIS it does nothing.

CREATE OR REPLACE FUNCTION install_maps() RETURNS boolean LANGUAGE plpgsql AS $maps$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') THEN
        IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis') THEN
            RETURN false;
        END IF;
        BEGIN
            CREATE EXTENSION postgis;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'no maps: an administrator must run CREATE EXTENSION postgis in this database first';
            RETURN false;
        END;
    END IF;

    IF to_regclass('crop_map') IS NULL THEN
        ALTER TABLE parcel ADD COLUMN geometry geometry(Geometry, 4326)
            GENERATED ALWAYS AS (ST_SetSRID(ST_GeomFromWKB(wkb), 4326)) STORED;
        CREATE INDEX parcel_geometry ON parcel USING gist (geometry);
    END IF;
    CREATE OR REPLACE VIEW crop_map AS
    SELECT agency, season, parcel_id, c.nuts_id, c.area_ha, c.crop, c.probability, a.declared_crop, a.verdict,
           a.reason, a.priority, run_id, parcel.geometry, c.simulated
    FROM crop_prediction c
    JOIN parcel USING (agency, season, parcel_id)
    LEFT JOIN crop_assessment a USING (agency, season, parcel_id, run_id);
    -- maps show parcels
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_controller') THEN
        GRANT SELECT ON crop_map TO cropmap_controller;
    END IF;
    RETURN true;
END
$maps$;
