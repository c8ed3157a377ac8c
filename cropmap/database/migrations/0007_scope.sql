-- Agencies apart: who sees and writes the rows of which agency. What a session may see is its scope.
--
-- A login of people or of a worker has the scope that `login_scope` gives it, and can declare no other. The API declares
-- the scope of a request's key for one transaction, together with the role of that key; with nothing declared it sees no
-- row. The owner of the tables, who migrates them, sees all.

-- ---------------------------------------------------------------------------------------------------------------------
-- Keys have a scope, a role and an end.

ALTER TABLE api_key ADD COLUMN agency text;  -- NULL: every agency
ALTER TABLE api_key ADD COLUMN role text NOT NULL DEFAULT 'controller'
    CONSTRAINT api_key_role CHECK (role IN ('operator', 'controller', 'statistician', 'public'));
ALTER TABLE api_key ALTER COLUMN role DROP DEFAULT;  -- keys that were made before read parcels of every agency
ALTER TABLE api_key ADD COLUMN expires_at timestamptz;
ALTER TABLE api_key ADD COLUMN last_used_at timestamptz;

-- ---------------------------------------------------------------------------------------------------------------------
-- The scope of a session.

CREATE TABLE login_scope (
    login  text NOT NULL CHECK (login <> ''),
    agency text NOT NULL CHECK (agency <> ''),  -- `*`: every agency
    PRIMARY KEY (login, agency)
);

-- Names of agencies, `*` for all. Only the API's login and the owner may declare: a login of people could otherwise
-- name any agency. A role that was taken on (SET ROLE) without a declaration sees nothing.
CREATE FUNCTION declared_scope() RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    declared text := nullif(current_setting('cropmap.agency', true), '');
BEGIN
    IF pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = 'agency'::regclass), 'MEMBER') THEN
        RETURN CASE WHEN declared IS NOT NULL THEN ARRAY[declared]
                    WHEN current_setting('role') = 'none' THEN ARRAY['*'] ELSE '{}' END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server' AND pg_has_role(session_user, oid, 'MEMBER')) THEN
        RETURN CASE WHEN declared IS NOT NULL THEN ARRAY[declared] ELSE '{}' END;
    END IF;
    RETURN coalesce((SELECT array_agg(agency) FROM login_scope WHERE login = session_user), '{}');
END
$$;

-- Whether a row of this agency may be written: also that of an agency which is still to come.
CREATE FUNCTION is_in_scope(of_agency text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT ARRAY[of_agency, '*'] && declared_scope()
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Roles: the API takes on that of a request's key. `cropmap_copier` writes by COPY, which PostgreSQL refuses under
-- policies; the triggers below hold its rows against the scope.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['cropmap_server_public', 'cropmap_server_statistician', 'cropmap_server_controller',
                                'cropmap_server_operator', 'cropmap_copier'] LOOP
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
    BEGIN
        IF (SELECT rolinherit FROM pg_roles WHERE rolname = 'cropmap_server') THEN
            ALTER ROLE cropmap_server NOINHERIT;  -- it has what it takes on, and nothing before
        END IF;
        FOREACH role IN ARRAY ARRAY['cropmap_server_public', 'cropmap_server_statistician',
                                    'cropmap_server_controller', 'cropmap_server_operator'] LOOP
            IF NOT pg_has_role('cropmap_server', role, 'MEMBER') THEN
                EXECUTE format('GRANT %I TO cropmap_server', role);
            END IF;
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', role);  -- the owner may serve the API too
            END IF;
        END LOOP;
        IF NOT pg_has_role('cropmap_writer', 'cropmap_copier', 'MEMBER') THEN
            GRANT cropmap_copier TO cropmap_writer;
        END IF;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_object THEN
            RAISE WARNING 'the API cannot answer yet: an administrator must run infra/roles.sql';
    END;
    BEGIN
        IF NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = 'cropmap_copier') THEN
            ALTER ROLE cropmap_copier BYPASSRLS;
        END IF;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_object THEN
            RAISE WARNING 'only the owner of the tables can publish: an administrator must run infra/roles.sql';
    END;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Policies. A role that is named in none sees no row. Rows of runs follow the run, which the planner looks up for a few
-- rows, and hashes for many.

DO $$
DECLARE
    readers constant text[] := ARRAY['cropmap_server_public', 'cropmap_server_statistician',
                                     'cropmap_server_controller', 'cropmap_server_operator'];
    known text;
    of_agency constant text := 'ARRAY[agency, ''*''] && (SELECT declared_scope())::text[]';
    of_run constant text := 'EXISTS (SELECT FROM run r WHERE r.run_id = %I.run_id)';
    of_published constant text := 'EXISTS (SELECT FROM run r WHERE r.run_id = %I.run_id AND r.status = ''published'')';
    of_campaign constant text := 'EXISTS (SELECT FROM review_campaign c WHERE c.campaign_id = %I.campaign_id)';
    secured record;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO known FROM pg_roles WHERE rolname = ANY (readers);
    FOR secured IN
        SELECT name, of_agency AS reads, of_agency AS writes FROM unnest(ARRAY['agency', 'season', 'parcel',
            'declaration', 'rejection', 'notice', 'acquisition', 'work', 'run', 'released_row']) AS name
        UNION ALL
        -- their run is of the same agency too
        SELECT name, of_agency, format('%s AND ' || of_run, of_agency, name)
        FROM unnest(ARRAY['published', 'review_campaign', 'release']) AS name
        UNION ALL
        SELECT name, format(of_published, name), format(of_run, name)
        FROM unnest(ARRAY['prediction', 'assessment', 'review_parcel']) AS name
        UNION ALL
        -- a table that was replaced is history: two together could show what each hides
        SELECT name, format('EXISTS (SELECT FROM published p WHERE p.run_id = %I.run_id)', name), format(of_run, name)
        FROM unnest(ARRAY['statistic']) AS name
        UNION ALL
        SELECT name, format(of_campaign, name), format(of_campaign, name)
        FROM unnest(ARRAY['review', 'review_certificate']) AS name
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', secured.name);
        IF known IS NOT NULL THEN
            EXECUTE format('CREATE POLICY readers ON %I FOR SELECT TO %s USING (%s)', secured.name, known,
                           secured.reads);
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
            EXECUTE format('CREATE POLICY writers ON %I TO cropmap_writer USING (%s) WITH CHECK (%s)', secured.name,
                           secured.writes, secured.writes);
        END IF;
    END LOOP;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Under a policy no index works on an expression whose function may tell of other rows by its errors (unary minus of a
-- number is one): the order of the list is a column.
ALTER TABLE assessment ADD COLUMN list_order double precision
    GENERATED ALWAYS AS (-coalesce(priority, '-Infinity')) STORED;
DROP INDEX assessment_priority;
DROP INDEX assessment_order;
CREATE INDEX assessment_priority ON assessment (run_id, verdict, list_order, parcel_id);
CREATE INDEX assessment_order ON assessment (run_id, list_order, parcel_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Rows that come by COPY are held against the scope once a statement.

CREATE OR REPLACE FUNCTION refuse_rows_of_published_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM run WHERE status = 'published' AND run_id IN (SELECT run_id FROM added)) THEN
        RAISE EXCEPTION 'permission denied: a published run takes no more rows'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM run WHERE NOT is_in_scope(agency) AND run_id IN (SELECT run_id FROM added)) THEN
        RAISE EXCEPTION 'permission denied: the run is another agency''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;

-- Whoever adds rows may not be able to read them: the checks of releases are made as the owner.
ALTER FUNCTION release_is_of_its_run() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION rows_are_of_their_run() SECURITY DEFINER SET search_path = public, pg_temp;
REVOKE EXECUTE ON FUNCTION check_release(text, integer, integer) FROM PUBLIC;

CREATE FUNCTION refuse_rows_of_others() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT agency FROM added) a WHERE NOT is_in_scope(agency)) THEN
        RAISE EXCEPTION 'permission denied: rows of another agency' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER rejections_in_scope AFTER INSERT ON rejection REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_others();
CREATE TRIGGER notices_in_scope AFTER INSERT ON notice REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_others();
CREATE TRIGGER released_in_scope AFTER INSERT ON released_row REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_others();

CREATE FUNCTION refuse_reviews_of_others() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM review_campaign WHERE NOT is_in_scope(agency)
               AND campaign_id IN (SELECT campaign_id FROM added)) THEN
        RAISE EXCEPTION 'permission denied: a sample of another agency' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER sampled_in_scope AFTER INSERT ON review_parcel REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_reviews_of_others();

-- ---------------------------------------------------------------------------------------------------------------------
-- Views belong to the owner of the tables, whom no policy binds: each has the scope in it, and lets nothing of a query
-- look at a row before.

DO $$
DECLARE
    seen record;
BEGIN
    FOR seen IN SELECT c.oid, relname FROM pg_class c
                WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND relname IN (
                    'crop_prediction', 'crop_assessment', 'crop_statistic', 'statistic_release', 'released_statistic',
                    'run_log', 'rejected_declaration', 'declaration_notice', 'declaration_log', 'reviewed_parcel',
                    'list_certification')
    LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %I WITH (security_barrier) AS SELECT * FROM (%s) seen'
                       ' WHERE ARRAY[agency, ''*''] && (SELECT declared_scope())::text[]',
                       seen.relname, rtrim(pg_get_viewdef(seen.oid), ';'));
    END LOOP;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- What each role may read. The API itself: whether the tables are up to date, and keys.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
        REVOKE SELECT ON agency, season, parcel, declaration, acquisition, run, prediction, assessment, statistic,
            published, release, released_row, crop_prediction, crop_assessment, crop_statistic, statistic_release,
            released_statistic, run_log, rejected_declaration FROM cropmap_server;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_public') THEN
        GRANT SELECT (agency, season, simulated) ON season TO cropmap_server_public;
        GRANT SELECT ON statistic_release, released_statistic TO cropmap_server_public;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_statistician') THEN
        GRANT SELECT (agency, season, simulated) ON season TO cropmap_server_statistician;
        GRANT SELECT ON published, statistic, statistic_release, released_statistic TO cropmap_server_statistician;
        -- not n_parcels, report and detail: sums over crops, and names of parcels
        GRANT SELECT (run_id, agency, season, as_of, status, model_version, nuts_version, simulated, partial_regions)
            ON run TO cropmap_server_statistician;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_controller') THEN
        GRANT SELECT (agency, season, simulated) ON season TO cropmap_server_controller;
        GRANT SELECT ON published, statistic, statistic_release, released_statistic, parcel, declaration, prediction,
            assessment, acquisition TO cropmap_server_controller;
        GRANT SELECT (run_id, agency, season, as_of, status, model_version, nuts_version, simulated, partial_regions)
            ON run TO cropmap_server_controller;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_operator') THEN
        GRANT SELECT (agency, season, simulated) ON season TO cropmap_server_operator;
        GRANT SELECT ON published, run_log TO cropmap_server_operator;
        GRANT SELECT (run_id, agency, season, as_of, status, model_version, nuts_version, simulated, partial_regions)
            ON run TO cropmap_server_operator;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_copier') THEN
        GRANT INSERT ON prediction, assessment, statistic, rejection, notice, released_row, review_parcel
            TO cropmap_copier;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        -- workers that were there before worked for every agency
        INSERT INTO login_scope
        SELECT rolname, '*' FROM pg_roles
        WHERE rolcanlogin AND NOT rolsuper AND pg_has_role(oid, 'cropmap_writer', 'MEMBER');
    END IF;
END
$$;

-- When a key was used last. The API reads only, and notes this in a transaction of its own.
CREATE FUNCTION note_key_use(hash text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE api_key SET last_used_at = now() WHERE key_hash = hash
$$;
REVOKE EXECUTE ON FUNCTION note_key_use(text) FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server') THEN
        GRANT EXECUTE ON FUNCTION note_key_use(text) TO cropmap_server;
    END IF;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Parcels in a box, in the order of their identifiers. Under a policy no index works on `&&` of boxes, whose function is
-- not leakproof: this one is the owner's, and holds the scope itself. The API alone may call it.
--
-- A box with few parcels is answered from the index on boxes. A box with many is walked in the order of the primary key:
-- from the index on boxes each page would collect and sort all of it. The corners are compared one by one there, so that
-- the index on boxes is no choice.
CREATE FUNCTION parcels_in_box(of_agency text, of_season integer, west double precision, south double precision,
                               east double precision, north double precision, after text, most integer)
RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
-- only a walk of an index ends at the limit: a bitmap would collect the whole box first
SET enable_bitmapscan = off SET enable_seqscan = off AS $$
DECLARE
    few constant integer := 20000;
    inside text[];
BEGIN
    IF NOT coalesce(is_in_scope(of_agency), false) THEN
        RETURN;
    END IF;
    inside := ARRAY(SELECT p.parcel_id FROM parcel p
                    WHERE p.box && box(point(west, south), point(east, north))
                      AND p.agency = of_agency AND p.season = of_season LIMIT few + 1);
    IF cardinality(inside) <= few THEN
        RETURN QUERY SELECT id FROM unnest(inside) id WHERE id > after ORDER BY id LIMIT most;
    ELSE
        RETURN QUERY SELECT p.parcel_id FROM parcel p
            WHERE p.agency = of_agency AND p.season = of_season AND p.parcel_id > after
              AND (p.box[1])[0] <= east AND (p.box[0])[0] >= west
              AND (p.box[1])[1] <= north AND (p.box[0])[1] >= south
            ORDER BY p.parcel_id LIMIT most;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION parcels_in_box(text, integer, double precision, double precision, double precision,
                                          double precision, text, integer) FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_server_controller') THEN
        GRANT EXECUTE ON FUNCTION parcels_in_box(text, integer, double precision, double precision, double precision,
                                                 double precision, text, integer) TO cropmap_server_controller;
    END IF;
END
$$;
