-- The review loop: what was drawn from a published run for the field, what people found there, and what a list's reviews
-- allow to say. Everything is inserted and nothing is updated: a correction is a later version.

DO $$
BEGIN
    IF EXISTS (SELECT FROM review) THEN
        RAISE EXCEPTION 'table review holds rows that cropmap did not write: move them elsewhere first';
    END IF;
    DROP TABLE review;  -- no version of cropmap wrote to it; its one row per parcel had no room for corrections
END
$$;

CREATE TABLE review_campaign (
    campaign_id    text PRIMARY KEY CHECK (campaign_id <> ''),
    agency         text NOT NULL,
    season         integer NOT NULL,
    run_id         text NOT NULL REFERENCES run,
    budget         integer NOT NULL CHECK (budget > 0),
    seed           integer NOT NULL CHECK (seed >= 0),
    list_share     double precision NOT NULL,
    target         double precision,     -- of the run's list, NULL where the run has none
    delta          double precision NOT NULL CHECK (delta > 0 AND delta < 1),
    estimated_rate double precision,     -- what the run said of its list without reviews
    list_size      integer NOT NULL,
    grid           integer[] NOT NULL,   -- list lengths that are tested, from scores alone, fixed when the sample is drawn
    drawn_at       timestamptz NOT NULL,
    UNIQUE (run_id, budget, seed, list_share),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX review_campaign_season ON review_campaign (agency, season);

CREATE TABLE review_parcel (
    campaign_id           text NOT NULL REFERENCES review_campaign,
    run_id                text NOT NULL,
    parcel_id             text NOT NULL,
    part                  text NOT NULL CONSTRAINT review_part CHECK (part IN ('list', 'control')),
    stratum               text NOT NULL,
    stratum_size          integer NOT NULL CHECK (stratum_size > 0),
    list_rank             integer CHECK ((list_rank IS NOT NULL) = (part = 'list')),  -- 1: the likeliest mismatch
    inclusion_probability double precision NOT NULL CHECK (inclusion_probability > 0 AND inclusion_probability <= 1),
    PRIMARY KEY (campaign_id, parcel_id),
    FOREIGN KEY (run_id, parcel_id) REFERENCES assessment
);

-- What a person found; the highest version counts.
CREATE TABLE review (
    campaign_id text NOT NULL,
    parcel_id   text NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    finding     text NOT NULL CONSTRAINT review_finding CHECK (finding IN ('right', 'wrong', 'cannot_tell')),
    found_code  text,
    reviewed_by text,
    reviewed_at date,
    note        text,
    source_file text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, parcel_id, version),
    FOREIGN KEY (campaign_id, parcel_id) REFERENCES review_parcel,
    CHECK (found_code IS NULL OR finding = 'wrong')
);

-- What the reviews of a list allow to say, each time that they said something else; the highest version counts.
CREATE TABLE review_certificate (
    campaign_id    text NOT NULL REFERENCES review_campaign,
    version        integer NOT NULL CHECK (version > 0),
    certified      boolean NOT NULL,
    reason         text NOT NULL CONSTRAINT certificate_reason CHECK (reason IN (
        'CERTIFIED', 'NO_LIST', 'LIST_USED_BEFORE', 'SAMPLE_TOO_SMALL', 'TOO_FEW_REVIEWED', 'TOO_MANY_RIGHT')),
    certified_size integer NOT NULL CHECK (certified_size >= 0),
    sampled        integer NOT NULL,
    reviewed       integer NOT NULL,
    found_right    integer NOT NULL,
    statement      text NOT NULL,
    stated_at      timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, version),
    CHECK (certified = (certified_size > 0))
);

-- Who reviewed, and the notes, stay inside: they are personal data.
CREATE VIEW reviewed_parcel AS
SELECT c.agency, c.season, p.parcel_id, a.declared_code, a.declared_crop, a.predicted_crop, a.verdict, p.part,
       p.stratum, p.inclusion_probability, p.list_rank, r.finding, r.found_code, r.reviewed_at, r.version, c.campaign_id,
       c.run_id
FROM review_campaign c JOIN review_parcel p USING (campaign_id)
JOIN assessment a ON (a.run_id, a.parcel_id) = (p.run_id, p.parcel_id)
LEFT JOIN LATERAL (SELECT * FROM review v WHERE (v.campaign_id, v.parcel_id) = (p.campaign_id, p.parcel_id)
                   ORDER BY v.version DESC LIMIT 1) r ON true;

CREATE VIEW list_certification AS
SELECT DISTINCT ON (c.campaign_id) c.agency, c.season, c.run_id, c.campaign_id, s.certified, s.reason, c.target,
       1 - c.delta AS confidence, c.list_size, s.certified_size, s.sampled, s.reviewed, s.found_right, c.estimated_rate,
       s.statement, s.stated_at
FROM review_campaign c JOIN review_certificate s USING (campaign_id)
ORDER BY c.campaign_id, s.version DESC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        GRANT SELECT ON reviewed_parcel, list_certification TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON review_campaign, review_parcel, review, review_certificate, reviewed_parcel, list_certification
            TO cropmap_writer;
        GRANT INSERT ON review_campaign, review_parcel, review, review_certificate TO cropmap_writer;
    END IF;
END
$$;
