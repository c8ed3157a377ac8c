-- Counts over all crops, which are one more sum than the tables of areas have: a hidden count of a crop follows from
-- one. They are not for operators either, and the catalogue of the database does not tell them.

-- ---------------------------------------------------------------------------------------------------------------------
-- Operators see runs without `n_parcels`, as `cropmap_reader` does; `detail` says why a run failed.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_operator') THEN
        REVOKE SELECT ON run_log FROM cropmap_server_operator;
        GRANT SELECT (run_id, agency, season, as_of, status, started_at, finished_at, code_version, model_version,
                      n_acquisitions, detail, simulated) ON run_log TO cropmap_server_operator;
    END IF;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- EXPLAIN answers from statistics of columns over all rows, of every agency and of tables that were replaced: with a
-- few questions it tells their figures. None are collected of figures any more; no query of ours chooses by one.

DO $$
DECLARE
    figure record;
BEGIN
    FOR figure IN
        SELECT a.attrelid::regclass AS of_table, a.attname AS name, a.attnum AS number
        FROM pg_attribute a
        WHERE a.attrelid IN ('statistic'::regclass, 'released_row'::regclass) AND a.attname IN (
            'declared_ha', 'mapped_ha', 'estimate_ha', 'se_ha', 'ci95_low_ha', 'ci95_high_ha', 'cv', 'n_parcels',
            'n_holdings')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', figure.of_table, figure.name);
        BEGIN
            DELETE FROM pg_statistic WHERE starelid = figure.of_table AND staattnum = figure.number;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'statistics of %.% were collected before: an administrator must run infra/roles.sql',
                    figure.of_table, figure.name;
        END;
    END LOOP;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- The catalogue tells everybody how many rows each table has, and its counters how many were written or looked up for a
-- foreign key: the number of parcels.
-- Roles that read parcels, and those who look after the server, keep it. Only a superuser can close it.

DO $$
DECLARE
    said text;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        IF has_column_privilege('public', 'pg_class', 'reltuples', 'SELECT') THEN
            RAISE WARNING 'the catalogue tells readers how many parcels there are: an administrator must run'
                ' infra/roles.sql';
        END IF;
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(attname), ', ') INTO said FROM pg_attribute
    WHERE attrelid = 'pg_class'::regclass AND NOT attisdropped AND attname <> 'reltuples';
    REVOKE SELECT ON pg_class FROM PUBLIC;
    EXECUTE format('GRANT SELECT (%s) ON pg_class TO PUBLIC', said);
    FOR said IN SELECT quote_ident(rolname) FROM pg_roles
                WHERE rolname IN ('cropmap_controller', 'cropmap_writer', 'pg_monitor')
                      OR oid = (SELECT relowner FROM pg_class WHERE oid = 'agency'::regclass) LOOP
        EXECUTE format('GRANT SELECT ON pg_class TO %s', said);
    END LOOP;
    FOR said IN SELECT oid::regprocedure FROM pg_proc
                WHERE pronamespace = 'pg_catalog'::regnamespace
                      AND proname ~ '^pg_stat_get_' AND 'oid'::regtype = ANY (proargtypes) LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', said);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pg_monitor', said);
    END LOOP;
END
$$;
