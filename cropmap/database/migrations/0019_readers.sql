-- Who may read and change what, closed by default. Statistics hide what single holdings told, and parcels show it: whoever
-- reads parcels can add up every hidden cell. So cropmap_reader sees statistics alone, cropmap_controller sees parcels, and
-- cropmap_server is the API. What was published, released or declared before can be added to by nobody but its owner.
-- Beside that: which results are simulated, and which regions the register covers only in part.

-- Of the moment when the run was published: the agency file may say otherwise since.
ALTER TABLE run
    ADD COLUMN simulated boolean,
    ADD COLUMN partial_regions text[];  -- regions with figures of which the register covers only a part

UPDATE run r SET simulated = s.simulated, partial_regions = ARRAY(
    -- earlier versions did not say: what lies above the codes of the agency file is taken for partial
    SELECT DISTINCT t.nuts_id FROM statistic t
    WHERE t.run_id = r.run_id AND NOT EXISTS (
        SELECT FROM jsonb_array_elements_text(coalesce(s.document->'regions'->'codes', '[]')) AS code
        WHERE starts_with(t.nuts_id, code)))
FROM season s WHERE (s.agency, s.season) = (r.agency, r.season) AND r.status = 'published';

-- Columns join the views at their end, whatever the views have by now.
DO $$
DECLARE
    name text;
    extra text;
BEGIN
    FOREACH name IN ARRAY ARRAY['crop_prediction', 'crop_assessment', 'crop_statistic', 'run_log', 'reviewed_parcel',
                                'list_certification', 'statistic_release', 'released_statistic'] LOOP
        extra := CASE WHEN name IN ('crop_statistic', 'released_statistic')
            THEN ', coalesce(v.nuts_id = ANY (r.partial_regions), false) AS partial_region' ELSE '' END;
        EXECUTE format(
            'CREATE OR REPLACE VIEW %I AS SELECT v.*, coalesce(r.simulated, s.simulated) AS simulated%s FROM (%s) v '
            'JOIN run r ON r.run_id = v.run_id JOIN season s ON (s.agency, s.season) = (r.agency, r.season)',
            name, extra, rtrim(pg_get_viewdef(name::regclass), ';'));
    END LOOP;
    FOREACH name IN ARRAY ARRAY['rejected_declaration', 'declaration_notice', 'declaration_log'] LOOP
        EXECUTE format(
            'CREATE OR REPLACE VIEW %I AS SELECT v.*, s.simulated FROM (%s) v '
            'JOIN season s ON (s.agency, s.season) = (v.agency, v.season)',
            name, rtrim(pg_get_viewdef(name::regclass), ';'));
    END LOOP;
END
$$;

-- What is published stays what it was.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER run_stays_published BEFORE UPDATE ON run FOR EACH ROW
WHEN (OLD.status = 'published' AND
      (OLD.run_id, OLD.agency, OLD.season, OLD.as_of, OLD.status, OLD.code_version, OLD.model_version, OLD.nuts_version,
       OLD.n_parcels, OLD.report, OLD.simulated, OLD.partial_regions) IS DISTINCT FROM
      (NEW.run_id, NEW.agency, NEW.season, NEW.as_of, NEW.status, NEW.code_version, NEW.model_version, NEW.nuts_version,
       NEW.n_parcels, NEW.report, NEW.simulated, NEW.partial_regions))
EXECUTE FUNCTION refuse_change('permission denied: a published run does not change');

CREATE FUNCTION refuse_rows_of_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM run WHERE status = 'published' AND run_id IN (SELECT run_id FROM added)) THEN
        RAISE EXCEPTION 'permission denied: a published run takes no more rows'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER published_predictions AFTER INSERT ON prediction REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();
CREATE TRIGGER published_assessments AFTER INSERT ON assessment REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();
CREATE TRIGGER published_statistics AFTER INSERT ON statistic REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();

CREATE FUNCTION pointer_to_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM run WHERE (run_id, agency, season, status)
                                         = (NEW.run_id, NEW.agency, NEW.season, 'published')) THEN
        RAISE EXCEPTION 'permission denied: % is no published run of this season', NEW.run_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER published_run BEFORE INSERT OR UPDATE ON published
    FOR EACH ROW EXECUTE FUNCTION pointer_to_published_run();

-- A version of a declaration is closed, and gets its own outline when the parcel has another; nothing else of it changes.
CREATE TRIGGER declaration_stays BEFORE UPDATE ON declaration FOR EACH ROW
WHEN ((OLD.agency, OLD.season, OLD.parcel_id, OLD.version, OLD.valid_from, OLD.crop_code, OLD.holding_id,
       OLD.declared_area_ha, OLD.area_ha, OLD.row_number, OLD.repaired, OLD.content_hash, OLD.source_file,
       OLD.source_hash) IS DISTINCT FROM
      (NEW.agency, NEW.season, NEW.parcel_id, NEW.version, NEW.valid_from, NEW.crop_code, NEW.holding_id,
       NEW.declared_area_ha, NEW.area_ha, NEW.row_number, NEW.repaired, NEW.content_hash, NEW.source_file,
       NEW.source_hash)
      OR (OLD.valid_to IS NOT NULL AND NEW.valid_to IS DISTINCT FROM OLD.valid_to)
      OR (OLD.wkb IS NOT NULL AND (NEW.wkb, NEW.nuts_id, NEW.home_tile) IS DISTINCT FROM
                                  (OLD.wkb, OLD.nuts_id, OLD.home_tile)))
EXECUTE FUNCTION refuse_change('permission denied: a declaration is amended by a further version');

-- A release is its run's table: the same rows and figures, with the flags of its stage.
CREATE FUNCTION check_release(of_agency text, of_season integer, of_number integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made_from text;
BEGIN
    SELECT l.run_id INTO made_from FROM release l JOIN run r USING (agency, season, run_id)
    WHERE (l.agency, l.season, l.number, r.status) = (of_agency, of_season, of_number, 'published');
    IF made_from IS NULL OR EXISTS (
        SELECT FROM (SELECT * FROM released_row WHERE (agency, season, number) = (of_agency, of_season, of_number)) w
        FULL JOIN (SELECT * FROM statistic WHERE run_id = made_from) s USING (nuts_id, crop, strucpro, concept)
        WHERE (w.level, w.basis, w.declared_ha, w.mapped_ha, w.estimate_ha, w.se_ha, w.ci95_low_ha, w.ci95_high_ha, w.cv,
               w.n_parcels, w.n_holdings, w.conf_status) IS DISTINCT FROM
              (s.level, s.basis, s.declared_ha, s.mapped_ha, s.estimate_ha, s.se_ha, s.ci95_low_ha, s.ci95_high_ha, s.cv,
               s.n_parcels, s.n_holdings, s.conf_status)) THEN
        RAISE EXCEPTION 'permission denied: release % is not the table of its published run', of_number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
CREATE FUNCTION release_is_of_its_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_release(NEW.agency, NEW.season, NEW.number);
    RETURN NULL;
END
$$;
CREATE FUNCTION rows_are_of_their_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_release(agency, season, number) FROM (SELECT DISTINCT agency, season, number FROM added) releases;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER release_of_its_run AFTER INSERT ON release DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION release_is_of_its_run();
CREATE TRIGGER rows_of_their_run AFTER INSERT ON released_row REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION rows_are_of_their_run();

-- Maps show parcels; see 0004_maps.sql.
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
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        REVOKE SELECT ON crop_map FROM cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_controller') THEN
        GRANT SELECT ON crop_map TO cropmap_controller;
    END IF;
    RETURN true;
END
$maps$;

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['cropmap_controller', 'cropmap_server'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE WARNING 'role % was not created: this user may not create roles', role;
                WHEN duplicate_object OR unique_violation THEN
                    NULL;  -- another database of this server was migrated at the same moment
            END;
        END IF;
    END LOOP;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        REVOKE SELECT ON crop_prediction, crop_assessment, rejected_declaration, declaration_notice, run_log,
            reviewed_parcel, list_certification, declaration_log FROM cropmap_reader;
        -- not n_parcels, which is one more sum over the crops, nor detail, which may name parcels
        GRANT SELECT (run_id, agency, season, as_of, status, started_at, finished_at, code_version, model_version,
                      n_acquisitions, simulated) ON run_log TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_controller') THEN
        GRANT SELECT ON crop_prediction, crop_assessment, rejected_declaration, declaration_notice, run_log,
            reviewed_parcel, list_certification, declaration_log TO cropmap_controller;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
        GRANT SELECT ON agency, season, parcel, declaration, acquisition, run, prediction, assessment, statistic,
            published, release, released_row, schema_migration, api_key, crop_prediction, crop_assessment, crop_statistic,
            rejected_declaration, run_log, statistic_release, released_statistic TO cropmap_server;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        REVOKE SELECT ON api_key FROM cropmap_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_api') THEN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
            RAISE EXCEPTION 'the API has a role of its own now: let an administrator run infra/roles.sql again first';
        END IF;
        REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM cropmap_api;
        IF NOT pg_has_role('cropmap_api', 'cropmap_server', 'MEMBER') THEN
            GRANT cropmap_server TO cropmap_api;
        END IF;
    END IF;
END
$$;
