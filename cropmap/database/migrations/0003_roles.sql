-- Least privilege: cropmap_reader sees the public views and nothing else; cropmap_writer runs seasons and serves, but
-- cannot change tables, keys or what was published before. Both are group roles: GRANT cropmap_reader TO somebody.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['cropmap_reader', 'cropmap_writer'] LOOP
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
        GRANT SELECT ON crop_prediction, crop_assessment, crop_statistic, rejected_declaration, run_log
            TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO cropmap_writer;
        GRANT INSERT ON prediction, assessment, statistic TO cropmap_writer;
        GRANT INSERT, UPDATE ON agency, season, parcel, declaration, acquisition, run, published, review
            TO cropmap_writer;
        GRANT INSERT, DELETE ON rejection TO cropmap_writer;
    END IF;
END
$$;
