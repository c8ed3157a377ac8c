-- What was erased: holdings that were forgotten, and seasons whose retention has ended.
--
-- A forgotten holding stands here by a keyed hash alone, so that a load of the same declarations file leaves it out. The
-- key is drawn for each agency and is read by the owner of the tables alone; loads ask `erased_holdings`. Rows are erased
-- by the owner (`cropmap forget`, `cropmap season expire`): no other role may remove a row of a published run.

CREATE TABLE erasure_key (
    agency text PRIMARY KEY REFERENCES agency,
    -- 244 random bits
    key    bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);

CREATE TABLE erasure (
    agency       text NOT NULL,
    season       integer NOT NULL,
    erasure_id   uuid NOT NULL DEFAULT gen_random_uuid(),
    holding_hash bytea,            -- SHA-256 of the agency's key and the holding_id; NULL: the whole season
    erased_at    timestamptz NOT NULL,
    removed      jsonb NOT NULL,   -- rows by table, objects by kind
    PRIMARY KEY (agency, season, erasure_id),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX erasure_holding ON erasure (agency, season, holding_hash);

-- Which of these holdings were erased from a season.
CREATE FUNCTION erased_holdings(of_agency text, of_season integer, holdings text[]) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT coalesce(is_in_scope(of_agency), false) THEN
        RAISE EXCEPTION 'permission denied: another agency' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT h FROM unnest(holdings) h
        JOIN erasure_key k ON k.agency = of_agency
        JOIN erasure e ON (e.agency, e.season) = (of_agency, of_season)
                          AND e.holding_hash = sha256(k.key || convert_to(h, 'UTF8'));
END
$$;
REVOKE EXECUTE ON FUNCTION erased_holdings(text, integer, text[]) FROM PUBLIC;

-- When the whole season was erased; NULL where it was not.
CREATE FUNCTION season_erased_at(of_agency text, of_season integer) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT coalesce(is_in_scope(of_agency), false) THEN
        RAISE EXCEPTION 'permission denied: another agency' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN (SELECT max(erased_at) FROM erasure
            WHERE (agency, season) = (of_agency, of_season) AND holding_hash IS NULL);
END
$$;
REVOKE EXECUTE ON FUNCTION season_erased_at(text, integer) FROM PUBLIC;

ALTER TABLE erasure ENABLE ROW LEVEL SECURITY;      -- without a policy: the owner's alone
ALTER TABLE erasure_key ENABLE ROW LEVEL SECURITY;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT EXECUTE ON FUNCTION erased_holdings(text, integer, text[]) TO cropmap_writer;
        GRANT EXECUTE ON FUNCTION season_erased_at(text, integer) TO cropmap_writer;
    END IF;
END
$$;

ALTER TABLE rejection DROP CONSTRAINT rejection_reason;
ALTER TABLE rejection ADD CONSTRAINT rejection_reason CHECK (reason IN (
    'MISSING_PARCEL_ID', 'DUPLICATE_PARCEL_ID', 'MISSING_CODE', 'UNKNOWN_CODE', 'EMPTY_GEOMETRY', 'INVALID_GEOMETRY',
    'DUPLICATE_GEOMETRY', 'AREA_CONTRADICTS_GEOMETRY', 'OUTSIDE_REGIONS', 'NOT_A_CROP', 'UNUSABLE_ROW',
    'HOLDING_ERASED'));
