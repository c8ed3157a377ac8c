-- The scope of a key costs next to nothing. `declared_scope()` looks up who signed in, once for each table of a statement:
-- .1 ms, and a question about one parcel has six tables. The roles of keys are taken on by the API's login and by the
-- owner alone, who may declare an agency anyway, so that their policies read what was declared.

DO $$
DECLARE
    known text;
    secured text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO known FROM pg_roles
    WHERE rolname IN ('cropmap_server_public', 'cropmap_server_statistician', 'cropmap_server_controller',
                      'cropmap_server_operator');
    IF known IS NULL THEN
        RETURN;
    END IF;
    FOREACH secured IN ARRAY ARRAY['agency', 'season', 'parcel', 'declaration', 'rejection', 'notice', 'acquisition',
                                   'work', 'run', 'released_row', 'published', 'review_campaign', 'release'] LOOP
        EXECUTE format('DROP POLICY readers ON %I', secured);
        EXECUTE format('CREATE POLICY readers ON %I FOR SELECT TO %s'
                       ' USING ((SELECT current_setting(''cropmap.agency'', true)) IN (agency, ''*''))', secured, known);
    END LOOP;
END
$$;
