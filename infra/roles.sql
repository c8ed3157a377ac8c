-- Roles of a PostgreSQL server that several people and programs share; run once by a superuser, harmless when repeated:
--   CROPMAP_OWNER_PASSWORD=… CROPMAP_WRITER_PASSWORD=… CROPMAP_READER_PASSWORD=… \
--   PREFECT_DATABASE_PASSWORD=… MLFLOW_DATABASE_PASSWORD=… psql --file infra/roles.sql
--
-- cropmap_owner   owns the tables and runs `cropmap db upgrade`
-- cropmap_writer  season runs: adds, changes and removes rows, cannot alter a table
-- cropmap_reader  the API and people with SQL: reads, changes nothing
-- prefect, mlflow own a database each and can connect to no other
\set ON_ERROR_STOP on
\getenv owner_password CROPMAP_OWNER_PASSWORD
\getenv writer_password CROPMAP_WRITER_PASSWORD
\getenv reader_password CROPMAP_READER_PASSWORD
\getenv prefect_password PREFECT_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['cropmap_owner', 'cropmap_writer', 'cropmap_reader', 'prefect', 'mlflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE cropmap_owner PASSWORD :'owner_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE cropmap_writer PASSWORD :'writer_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE cropmap_reader PASSWORD :'reader_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE prefect PASSWORD :'prefect_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE mlflow PASSWORD :'mlflow_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;

-- no question to the API may hold the server for long, and none may write
ALTER ROLE cropmap_reader SET default_transaction_read_only = on;
ALTER ROLE cropmap_reader SET statement_timeout = '30s';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', name, owner)
FROM (VALUES ('cropmap', 'cropmap_owner'), ('prefect', 'prefect'), ('mlflow', 'mlflow')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

REVOKE CONNECT, TEMPORARY ON DATABASE cropmap, prefect, mlflow FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE cropmap TO cropmap_writer;
GRANT CONNECT ON DATABASE cropmap TO cropmap_reader;

\connect cropmap
-- the migrations use PostGIS where it is, but only a superuser may bring it in
SELECT 'CREATE EXTENSION IF NOT EXISTS postgis' FROM pg_available_extensions WHERE name = 'postgis'
\gexec
GRANT USAGE, CREATE ON SCHEMA public TO cropmap_owner;
GRANT USAGE ON SCHEMA public TO cropmap_writer, cropmap_reader;

-- for everything that the owner's migrations make from here on
ALTER DEFAULT PRIVILEGES FOR ROLE cropmap_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO cropmap_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE cropmap_owner GRANT USAGE ON SEQUENCES TO cropmap_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE cropmap_owner GRANT SELECT ON TABLES TO cropmap_reader;
