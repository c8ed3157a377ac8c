-- A run that was stopped by a signal, or that nobody works on any more, is neither running nor failed.

ALTER TABLE run DROP CONSTRAINT run_status;
ALTER TABLE run ADD CONSTRAINT run_status CHECK (status IN ('running', 'published', 'failed', 'interrupted'));

-- Who works on an agency, or did last: one row an agency. Whether anybody still does is said by an advisory lock, which
-- ends with its session whatever happens to the process; a row without `ended_at` and without lock was left behind.
CREATE TABLE work (
    agency   text PRIMARY KEY REFERENCES agency,
    season   integer NOT NULL,
    task     text NOT NULL CHECK (task <> ''),    -- the command or the flow
    worker   text NOT NULL,                       -- user, machine and process
    since    timestamptz NOT NULL,
    ended_at timestamptz
);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT, INSERT, UPDATE ON work TO cropmap_writer;
    END IF;
END
$$;
