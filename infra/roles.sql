-- Roles of a PostgreSQL server that several people and programs share; run once by a superuser, harmless when repeated:
--   CROPMAP_OWNER_PASSWORD=… CROPMAP_WORKER_PASSWORD=… CROPMAP_API_PASSWORD=… \
--   PREFECT_DATABASE_PASSWORD=… MLFLOW_DATABASE_PASSWORD=… psql --file infra/roles.sql
--
-- cropmap_owner   owns the tables and runs `cropmap db upgrade`, which grants to the two groups:
-- cropmap_writer    season runs: what they may write, table by table
-- cropmap_reader    people with SQL: statistics; GRANT cropmap_reader TO somebody, then `cropmap db allow`
-- cropmap_controller  people with SQL: parcels, which show what statistics hide: only inside the agency
-- cropmap_server    the API: whether a key is valid; for each request it takes on one of the next five
-- cropmap_server_public, cropmap_server_statistician, cropmap_server_controller, cropmap_server_operator,
--   cropmap_server_administrator (the only one that writes: keys and accounts)
-- cropmap_copier    what season runs write by COPY, which row-level security would refuse: it writes, and reads nothing
-- cropmap_worker  signs in for season runs; one of cropmap_writer
-- cropmap_api     signs in for the API; one of cropmap_server; it changes keys and accounts alone
-- prefect, mlflow own a database each and can connect to no other
\set ON_ERROR_STOP on
\getenv owner_password CROPMAP_OWNER_PASSWORD
\getenv worker_password CROPMAP_WORKER_PASSWORD
\getenv api_password CROPMAP_API_PASSWORD
\getenv prefect_password PREFECT_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD

SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY[
    'cropmap_owner', 'cropmap_writer', 'cropmap_reader', 'cropmap_controller', 'cropmap_server', 'cropmap_worker',
    'cropmap_api', 'prefect', 'mlflow', 'cropmap_server_public', 'cropmap_server_statistician',
    'cropmap_server_controller', 'cropmap_server_operator', 'cropmap_server_administrator', 'cropmap_copier'
]) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE cropmap_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE cropmap_worker LOGIN PASSWORD :'worker_password';
ALTER ROLE cropmap_api LOGIN PASSWORD :'api_password';
ALTER ROLE prefect LOGIN PASSWORD :'prefect_password';
ALTER ROLE mlflow LOGIN PASSWORD :'mlflow_password';
ALTER ROLE cropmap_copier BYPASSRLS;
GRANT cropmap_copier TO cropmap_writer;
ALTER ROLE cropmap_server NOINHERIT;  -- nothing of the five before it takes one on
GRANT cropmap_server_public, cropmap_server_statistician, cropmap_server_controller, cropmap_server_operator,
    cropmap_server_administrator TO cropmap_server, cropmap_owner;
GRANT cropmap_writer TO cropmap_worker;
GRANT cropmap_server TO cropmap_api;
REVOKE cropmap_reader FROM cropmap_api;

-- no question to the API may hold the server for long
ALTER ROLE cropmap_api SET default_transaction_read_only = on;
ALTER ROLE cropmap_api SET statement_timeout = '30s';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', name, owner)
FROM (VALUES ('cropmap', 'cropmap_owner'), ('prefect', 'prefect'), ('mlflow', 'mlflow')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

REVOKE CONNECT, TEMPORARY ON DATABASE cropmap, prefect, mlflow, postgres, template1 FROM PUBLIC;
-- bulk loads pass through temporary tables
GRANT CONNECT, TEMPORARY ON DATABASE cropmap TO cropmap_writer;
GRANT CONNECT ON DATABASE cropmap TO cropmap_reader, cropmap_controller, cropmap_server;

\connect cropmap
-- the migrations use PostGIS where it is, but only a superuser may bring it in
SELECT 'CREATE EXTENSION IF NOT EXISTS postgis' FROM pg_available_extensions WHERE name = 'postgis'
\gexec
GRANT USAGE, CREATE ON SCHEMA public TO cropmap_owner;
-- earlier versions let the API read every table
ALTER DEFAULT PRIVILEGES FOR ROLE cropmap_owner REVOKE SELECT ON TABLES FROM cropmap_api;
-- nothing is kept in large objects, which anybody could write otherwise
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure)
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
  AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite', 'lo_open', 'lo_unlink', 'lo_truncate',
                  'lo_truncate64')
\gexec

-- The catalogue tells how many rows each table has, and its counters how many were written. That is the number of
-- parcels, from which a hidden count may follow: for roles that read parcels, and those who look after the server.
REVOKE SELECT ON pg_class FROM PUBLIC;
SELECT format('GRANT SELECT (%s) ON pg_class TO PUBLIC', string_agg(quote_ident(attname), ', '))
FROM pg_attribute WHERE attrelid = 'pg_class'::regclass AND NOT attisdropped AND attname <> 'reltuples'
\gexec
GRANT SELECT ON pg_class TO cropmap_owner, cropmap_writer, cropmap_controller, pg_monitor;
SELECT format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC; GRANT EXECUTE ON FUNCTION %1$s TO pg_monitor',
              oid::regprocedure)
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_stat_get_' AND 'oid'::regtype = ANY (proargtypes)
\gexec
-- what was collected of figures before they were left out: EXPLAIN answers from it
DO $$
BEGIN
    DELETE FROM pg_statistic s USING pg_attribute a
    WHERE (a.attrelid, a.attnum) = (s.starelid, s.staattnum) AND a.attstattarget = 0
          AND a.attrelid IN (to_regclass('public.statistic'), to_regclass('public.released_row'));
END
$$;
