-- Releases: numbered tables that left the house. The rows are copied, so that a release stays what it was whatever
-- becomes of its run. Everything is inserted and nothing is updated.

CREATE TABLE release (
    agency       text NOT NULL,
    season       integer NOT NULL,
    number       integer NOT NULL CHECK (number > 0),
    stage        text NOT NULL CONSTRAINT release_stage CHECK (stage IN ('first', 'provisional', 'final')),
    run_id       text NOT NULL REFERENCES run,
    as_of        date,
    nuts_version integer,
    note         text,
    content_hash text NOT NULL,  -- of the released rows, as they were written
    released_at  timestamptz NOT NULL,
    PRIMARY KEY (agency, season, number),
    FOREIGN KEY (agency, season) REFERENCES season
);

CREATE TABLE released_row (
    agency       text NOT NULL,
    season       integer NOT NULL,
    number       integer NOT NULL,
    nuts_id      text NOT NULL,
    level        integer NOT NULL CHECK (level BETWEEN 0 AND 3),
    crop         text NOT NULL,
    strucpro     text NOT NULL,
    concept      text NOT NULL,
    basis        text NOT NULL,
    declared_ha  double precision,
    mapped_ha    double precision,
    estimate_ha  double precision,
    se_ha        double precision,
    ci95_low_ha  double precision,
    ci95_high_ha double precision,
    cv           double precision,
    n_parcels    integer,
    n_holdings   integer,
    obs_flag     text,           -- of the run's row, with what the stage says: f, p, r
    conf_status  text,
    PRIMARY KEY (agency, season, number, nuts_id, crop, strucpro, concept),
    FOREIGN KEY (agency, season, number) REFERENCES release,
    CONSTRAINT released_confidential CHECK (conf_status IS DISTINCT FROM 'C' OR num_nonnulls(
        declared_ha, mapped_ha, estimate_ha, se_ha, ci95_low_ha, ci95_high_ha, cv, n_parcels, n_holdings) = 0)
);

CREATE VIEW statistic_release AS
SELECT agency, season, number, stage, l.as_of, l.nuts_version, l.released_at, l.note, r.model_version, r.code_version,
       run_id, l.content_hash
FROM release l JOIN run r USING (agency, season, run_id);

CREATE VIEW released_statistic AS
SELECT agency, season, number, l.stage, l.as_of, l.nuts_version, s.nuts_id, s.level, s.crop, s.strucpro, s.concept,
       s.basis, s.declared_ha, s.mapped_ha, s.estimate_ha, s.se_ha, s.ci95_low_ha, s.ci95_high_ha, s.cv, s.n_parcels,
       s.n_holdings, s.obs_flag, s.conf_status, l.run_id
FROM release l JOIN released_row s USING (agency, season, number);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        GRANT SELECT ON statistic_release, released_statistic TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON release, released_row, statistic_release, released_statistic TO cropmap_writer;
        GRANT INSERT ON release, released_row TO cropmap_writer;
    END IF;
END
$$;
