-- What regions and codes are called, and where regions lie. All of it comes from files of the agency, the boundaries and
-- its names, so that it tells of no parcel and of no holding.

-- NUTS regions of a season with their outlines: for maps of published and of released areas. One edition of NUTS a
-- season: that of its register, with which its parcels were assigned.
CREATE TABLE region (
    agency        text NOT NULL,
    season        integer NOT NULL,
    nuts_id       text NOT NULL CHECK (nuts_id <> ''),
    level         integer NOT NULL CHECK (level BETWEEN 0 AND 3),
    name          text NOT NULL CHECK (name <> ''),           -- in Latin letters
    national_name text NOT NULL CHECK (national_name <> ''),  -- in the country's own letters
    language      text CHECK (language <> ''),                -- of the national name (BCP 47); NULL: not stated
    nuts_version  integer NOT NULL,
    outline       bytea NOT NULL,             -- WKB, EPSG:4326, longitude first
    west          double precision NOT NULL,  -- bounds of the outline; comparing them tells nothing of rows that a
    south         double precision NOT NULL,  -- policy hides, so that a search by box needs no function of the owner
    east          double precision NOT NULL,
    north         double precision NOT NULL,
    PRIMARY KEY (agency, season, nuts_id),
    FOREIGN KEY (agency, season) REFERENCES season
);

-- Names of codes in the languages of an agency, beside the English ones that cropmap has.
CREATE TABLE code_name (
    agency    text NOT NULL REFERENCES agency,
    code_list text NOT NULL CHECK (code_list <> ''),  -- crops, geo, strucpro, …; concept: what dimensions are called
    code      text NOT NULL CHECK (code <> ''),
    language  text NOT NULL CHECK (language <> ''),   -- BCP 47
    name      text NOT NULL CHECK (name <> ''),
    PRIMARY KEY (agency, code_list, code, language)
);

-- Statisticians and controllers see regions of published seasons, the public those of released ones, operators none.
-- Names of codes are no figures: whoever reads statistics of the agency reads them.
DO $$
DECLARE
    readers text;
    named text;
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
    ALTER TABLE code_name ENABLE ROW LEVEL SECURITY;
    SELECT string_agg(quote_ident(rolname), ', ') INTO named FROM pg_roles
    WHERE rolname IN ('cropmap_server_public', 'cropmap_server_statistician', 'cropmap_server_controller');
    IF named IS NOT NULL THEN
        EXECUTE format('CREATE POLICY readers ON code_name FOR SELECT TO %s USING (%s)', named, of_agency);
        EXECUTE format('GRANT SELECT ON code_name TO %s', named);
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        EXECUTE format('CREATE POLICY writers ON region TO cropmap_writer USING (%s) WITH CHECK (%s)', in_scope,
                       in_scope);
        EXECUTE format('CREATE POLICY writers ON code_name TO cropmap_writer USING (%s) WITH CHECK (%s)', in_scope,
                       in_scope);
        GRANT SELECT, INSERT, UPDATE, DELETE ON region, code_name TO cropmap_writer;
    END IF;
END
$$;
