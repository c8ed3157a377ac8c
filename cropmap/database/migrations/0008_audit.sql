-- The audit log: who read, exported or changed rows of parcels, when, and by which key or login.
--
-- Entries are added by `note_access` alone. No role may add, change or remove one otherwise; the owner of the tables
-- removes old ones (`cropmap audit prune`).

CREATE TABLE audit_entry (
    agency     text NOT NULL CHECK (agency <> ''),
    noted_at   timestamptz NOT NULL DEFAULT now(),
    entry_id   uuid NOT NULL DEFAULT gen_random_uuid(),  -- a number would tell how much other agencies do
    season     integer NOT NULL,
    action     text NOT NULL CONSTRAINT audit_entry_action CHECK (action IN ('read', 'export', 'change')),
    subject    text NOT NULL CHECK (subject <> ''),  -- the route, or the command
    login      text NOT NULL,                        -- what signed in to the database
    actor      text NOT NULL,                        -- as the program says: the key's name, or the user of its machine
    request_id text,
    n_rows     bigint NOT NULL CHECK (n_rows >= 0),
    parcel_ids text[],                               -- NULL: not listed one by one, because they were very many
    PRIMARY KEY (agency, noted_at, entry_id)
);
CREATE INDEX audit_entry_parcel ON audit_entry USING gin (parcel_ids);
CREATE INDEX audit_entry_unlisted ON audit_entry (agency, noted_at) WHERE parcel_ids IS NULL;

-- A login of people could say that it is somebody else, so that its own name stands beside what it says.
CREATE FUNCTION note_access(of_agency text, of_season integer, of_action text, of_subject text, of_actor text,
                            of_request text, rows_seen bigint, parcels text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT coalesce(is_in_scope(of_agency), false) THEN
        RAISE EXCEPTION 'permission denied: another agency' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_entry (agency, season, action, subject, login, actor, request_id, n_rows, parcel_ids)
    VALUES (of_agency, of_season, of_action, of_subject, session_user, of_actor, of_request, rows_seen, parcels);
END
$$;
REVOKE EXECUTE ON FUNCTION note_access(text, integer, text, text, text, text, bigint, text[]) FROM PUBLIC;

ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    reads constant text := 'ARRAY[agency, ''*''] && (SELECT declared_scope())::text[]';
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['cropmap_writer', 'cropmap_controller', 'cropmap_server_controller'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION note_access(text, integer, text, text, text, text, bigint,'
                           ' text[]) TO %I', role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON audit_entry TO cropmap_writer;
        EXECUTE format('CREATE POLICY readers ON audit_entry FOR SELECT TO cropmap_writer USING (%s)', reads);
    END IF;
END
$$;
