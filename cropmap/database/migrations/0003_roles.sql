-- Who may read and change what, closed by default. All are group roles: GRANT cropmap_reader TO somebody.
--
-- cropmap_reader      statistics alone, for people with SQL
-- cropmap_controller  parcels, for people with SQL inside the agency: whoever reads parcels can add up hidden cells
-- cropmap_server      the API: what it answers from
-- cropmap_writer      seasons: adds rows, and cannot change tables, keys or what was published before
--
-- A user who may not create roles goes without them; then an administrator runs infra/roles.sql first.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['cropmap_reader', 'cropmap_controller', 'cropmap_server', 'cropmap_writer'] LOOP
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
        GRANT SELECT ON crop_statistic, statistic_release, released_statistic TO cropmap_reader;
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
            published, release, released_row, schema_migration, api_key, crop_prediction, crop_assessment,
            crop_statistic, statistic_release, released_statistic, run_log, rejected_declaration TO cropmap_server;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        -- everything but api_key
        GRANT SELECT ON agency, season, parcel, declaration, rejection, notice, acquisition, work, run, prediction,
            assessment, statistic, published, review_campaign, review_parcel, review, review_certificate, release,
            released_row, schema_migration TO cropmap_writer;
        GRANT SELECT ON crop_prediction, crop_assessment, crop_statistic, statistic_release, released_statistic,
            run_log, rejected_declaration, declaration_notice, declaration_log, reviewed_parcel, list_certification
            TO cropmap_writer;
        GRANT INSERT ON prediction, assessment, statistic, review_campaign, review_parcel, review, review_certificate,
            release, released_row TO cropmap_writer;
        GRANT INSERT, UPDATE ON agency, season, parcel, declaration, acquisition, run, published, work
            TO cropmap_writer;
        GRANT INSERT, DELETE ON rejection, notice TO cropmap_writer;
    END IF;
END
$$;
