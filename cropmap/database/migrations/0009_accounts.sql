-- Accounts of people: a name and a password, with one role and one agency or every agency, as a key has them.

CREATE TABLE account (
    name            text PRIMARY KEY CHECK (name <> '' AND name !~ '[[:cntrl:]:]' AND length(name) <= 200),
    role            text NOT NULL CONSTRAINT account_role
                    CHECK (role IN ('operator', 'controller', 'statistician', 'public')),
    agency          text,           -- NULL: every agency
    password_hash   text NOT NULL,  -- argon2id
    created_at      timestamptz NOT NULL DEFAULT now(),
    password_set_at timestamptz NOT NULL DEFAULT now(),
    last_used_at    timestamptz,
    disabled_at     timestamptz
);

-- When an account was used last. The API reads only, and notes this in a transaction of its own.
CREATE FUNCTION note_account_use(of_name text) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    UPDATE account SET last_used_at = now() WHERE name = of_name
$$;
REVOKE EXECUTE ON FUNCTION note_account_use(text) FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
        GRANT SELECT ON account TO cropmap_server;
        GRANT EXECUTE ON FUNCTION note_account_use(text) TO cropmap_server;
    END IF;
END
$$;
