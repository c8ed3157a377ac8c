-- NUTS regions of a season with their outlines, as the agency's boundary file has them: for maps of published and of
-- released areas. They come from the file alone, so that they tell of no parcel and of no holding.

-- One edition of NUTS a season: that of its register, with which its parcels were assigned.
CREATE TABLE region (
    agency        text NOT NULL,
    season        integer NOT NULL,
    nuts_id       text NOT NULL CHECK (nuts_id <> ''),
    level         integer NOT NULL CHECK (level BETWEEN 0 AND 3),
    name          text NOT NULL CHECK (name <> ''),           -- in Latin letters
    national_name text NOT NULL CHECK (national_name <> ''),  -- in the country's own letters
    nuts_version  integer NOT NULL,
    outline       bytea NOT NULL,             -- WKB, EPSG:4326, longitude first
    west          double precision NOT NULL,  -- bounds of the outline; comparing them tells nothing of rows that a
    south         double precision NOT NULL,  -- policy hides, so that a search by box needs no function of the owner
    east          double precision NOT NULL,
    north         double precision NOT NULL,
    PRIMARY KEY (agency, season, nuts_id),
    FOREIGN KEY (agency, season) REFERENCES season
);

-- Statisticians and controllers see regions of published seasons, the public those of released ones, operators none.
DO $$
DECLARE
    readers text;
    of_agency constant text := '(SELECT current_setting(''cropmap.agency'', true)) IN (agency, ''*'')';
    has constant text := 'EXISTS (SELECT FROM %I p WHERE (p.agency, p.season) = (region.agency, region.season))';
    in_scope constant text := 'ARRAY[agency, ''*''] && (SELECT declared_scope())::text[]';
BEGIN
    ALTER TABLE region ENABLE ROW LEVEL SECURITY;
    SELECT string_agg(quote_ident(rolname), ', ') INTO readers FROM pg_roles
    WHERE rolname IN ('cropmap_server_statistician', 'cropmap_server_controller');
    IF readers IS NOT NULL THEN
        EXECUTE format('CREATE POLICY readers ON region FOR SELECT TO %s USING (%s AND %s)', readers, of_agency,
                       format(has, 'published'));
        EXECUTE format('GRANT SELECT ON region TO %s', readers);
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_public') THEN
        EXECUTE format('CREATE POLICY public_readers ON region FOR SELECT TO cropmap_server_public USING (%s AND %s)',
                       of_agency, format(has, 'statistic_release'));
        GRANT SELECT ON region TO cropmap_server_public;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        EXECUTE format('CREATE POLICY writers ON region TO cropmap_writer USING (%s) WITH CHECK (%s)', in_scope,
                       in_scope);
        GRANT SELECT, INSERT, UPDATE, DELETE ON region TO cropmap_writer;
    END IF;
END
$$;
