-- Administrators: keys and accounts of one agency or of every agency, over the API, and nothing of seasons, parcels or
-- statistics. The hashes of keys and passwords are read by the API's own login alone, before it takes on a role.

ALTER TABLE api_key DROP CONSTRAINT api_key_role;
ALTER TABLE api_key ADD CONSTRAINT api_key_role
    CHECK (role IN ('operator', 'controller', 'statistician', 'public', 'administrator'));
ALTER TABLE account DROP CONSTRAINT account_role;
ALTER TABLE account ADD CONSTRAINT account_role
    CHECK (role IN ('operator', 'controller', 'statistician', 'public', 'administrator'));
ALTER TABLE api_key ALTER COLUMN created_at SET DEFAULT now();  -- nobody states it

-- ---------------------------------------------------------------------------------------------------------------------
-- Names are unique over all agencies. What an agency's administrator makes ends with `@` and the agency, and no row of
-- others may: otherwise a name that is taken would tell of another agency's. An address of mail, whose end has a dot, is
-- no name of an agency.

CREATE FUNCTION refuse_name_of_another_agency() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_agency text := substring(NEW.name FROM '@([a-z0-9][a-z0-9_-]{0,62})$');
BEGIN
    IF of_agency IS NOT NULL AND of_agency IS DISTINCT FROM NEW.agency THEN
        RAISE EXCEPTION 'a name that ends with @% is for agency %', of_agency, of_agency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'name_of_its_agency';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER name_of_its_agency BEFORE INSERT OR UPDATE OF name, agency ON api_key
    FOR EACH ROW EXECUTE FUNCTION refuse_name_of_another_agency();
CREATE TRIGGER name_of_its_agency BEFORE INSERT OR UPDATE OF name, agency ON account
    FOR EACH ROW EXECUTE FUNCTION refuse_name_of_another_agency();

-- ---------------------------------------------------------------------------------------------------------------------
-- The role.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_administrator') THEN
        BEGIN
            CREATE ROLE cropmap_server_administrator NOLOGIN;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role cropmap_server_administrator was not created: this user may not create roles';
            WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another database of this server was migrated at the same moment
        END;
    END IF;
    BEGIN
        IF NOT pg_has_role('cropmap_server', 'cropmap_server_administrator', 'MEMBER') THEN
            GRANT cropmap_server_administrator TO cropmap_server;
        END IF;
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            GRANT cropmap_server_administrator TO CURRENT_USER;  -- the owner may serve the API too
        END IF;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_object THEN
            RAISE WARNING 'keys and accounts are made at the command line alone: an administrator must run'
                          ' infra/roles.sql';
    END;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Policies and grants. Rows of every agency (agency NULL) are for administrators of every agency.

ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE account ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    in_scope constant text := '(SELECT current_setting(''cropmap.agency'', true)) IN (agency, ''*'')';
    named constant text := '((SELECT current_setting(''cropmap.agency'', true)) = ''*'''
                           ' OR right(name, length(agency) + 1) = ''@'' || agency)';
    secured text;
    changed text;
BEGIN
    FOR secured, changed IN VALUES ('api_key', in_scope || ' AND revoked_at IS NOT NULL'),  -- for good
                                   ('account', in_scope) LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
            -- the API looks up who asks before it knows of which agency
            EXECUTE format('CREATE POLICY lookups ON %I FOR SELECT TO cropmap_server USING (true)', secured);
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_administrator') THEN
            EXECUTE format('CREATE POLICY readers ON %I FOR SELECT TO cropmap_server_administrator USING (%s)',
                           secured, in_scope);
            EXECUTE format('CREATE POLICY makers ON %I FOR INSERT TO cropmap_server_administrator'
                           ' WITH CHECK (%s AND %s)', secured, in_scope, named);
            EXECUTE format('CREATE POLICY changers ON %I FOR UPDATE TO cropmap_server_administrator USING (%s)'
                           ' WITH CHECK (%s)', secured, in_scope, changed);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_administrator') THEN
        GRANT SELECT (name, role, agency, created_at, expires_at, last_used_at, revoked_at),
              INSERT (name, key_hash, role, agency, expires_at), UPDATE (revoked_at)
            ON api_key TO cropmap_server_administrator;
        GRANT SELECT (name, role, agency, created_at, password_set_at, last_used_at, disabled_at),
              INSERT (name, role, agency, password_hash), UPDATE (password_hash, password_set_at, disabled_at)
            ON account TO cropmap_server_administrator;
        -- a key is for an agency that is there
        GRANT SELECT ON agency TO cropmap_server_administrator;
        EXECUTE format('CREATE POLICY administrators ON agency FOR SELECT TO cropmap_server_administrator USING (%s)',
                       in_scope);
    END IF;
END
$$;
