-- What was read from the providers of scenes, over all agencies: a provider's quota is held against it.

CREATE TABLE bytes_read (
    provider text NOT NULL CHECK (provider <> ''),
    day      date NOT NULL,  -- in UTC
    bytes    double precision NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (provider, day)
);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT, INSERT, UPDATE ON bytes_read TO cropmap_writer;
    END IF;
END
$$;
