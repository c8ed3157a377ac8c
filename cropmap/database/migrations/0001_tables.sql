-- The register: what agencies declared, what satellites saw. Ground state of a season.

CREATE TABLE agency (
    agency text PRIMARY KEY CHECK (agency <> '')
);

CREATE TABLE season (
    agency    text NOT NULL REFERENCES agency,
    season    integer NOT NULL CHECK (season BETWEEN 1980 AND 2200),
    simulated boolean NOT NULL DEFAULT false,
    document  jsonb NOT NULL DEFAULT '{}',  -- the agency file, as read
    PRIMARY KEY (agency, season)
);

-- A parcel with its current geometry (EPSG:4326). "box" is its bounding box: with a GiST index it answers
-- bounding-box questions as fast as PostGIS, which need not be there.
CREATE TABLE parcel (
    agency    text NOT NULL,
    season    integer NOT NULL,
    parcel_id text NOT NULL CHECK (parcel_id <> ''),
    wkb       bytea NOT NULL,
    box       box NOT NULL,
    nuts_id   text,
    home_tile text,
    PRIMARY KEY (agency, season, parcel_id),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX parcel_box ON parcel USING gist (box);

-- A claim: parcel x crop code, valid from the moment it was loaded until another load took it back.
CREATE TABLE declaration (
    agency           text NOT NULL,
    season           integer NOT NULL,
    parcel_id        text NOT NULL,
    version          integer NOT NULL CHECK (version > 0),
    valid_from       timestamptz NOT NULL,
    valid_to         timestamptz CHECK (valid_to > valid_from),
    crop_code        text NOT NULL CHECK (crop_code <> ''),
    holding_id       text,
    declared_area_ha double precision,
    area_ha          double precision NOT NULL,
    row_number       integer,
    repaired         boolean NOT NULL,
    wkb              bytea,  -- the geometry of this version, where the parcel has another one by now
    content_hash     text NOT NULL,
    source_file      text NOT NULL,
    source_hash      text NOT NULL,
    PRIMARY KEY (agency, season, parcel_id, version),
    FOREIGN KEY (agency, season, parcel_id) REFERENCES parcel
);
CREATE UNIQUE INDEX declaration_current ON declaration (agency, season, parcel_id) WHERE valid_to IS NULL;

CREATE TABLE rejection (
    agency      text NOT NULL,
    season      integer NOT NULL,
    source_file text NOT NULL,
    row_number  integer NOT NULL,
    parcel_id   text,
    reason      text NOT NULL CONSTRAINT rejection_reason CHECK (reason IN (
        'MISSING_PARCEL_ID', 'DUPLICATE_PARCEL_ID', 'MISSING_CODE', 'UNKNOWN_CODE', 'EMPTY_GEOMETRY',
        'INVALID_GEOMETRY', 'DUPLICATE_GEOMETRY', 'AREA_CONTRADICTS_GEOMETRY', 'OUTSIDE_REGIONS')),
    detail      text NOT NULL,
    PRIMARY KEY (agency, season, source_file, row_number, reason),
    FOREIGN KEY (agency, season) REFERENCES season
);

-- The ledger of acquisitions: a killed run continues from here.
CREATE TABLE acquisition (
    agency              text NOT NULL,
    season              integer NOT NULL,
    item_id             text NOT NULL,
    tile                text,
    sensed_at           timestamptz,
    processing_baseline text,
    document            jsonb,  -- the whole acquisition; NULL for an item that was never usable
    status              text NOT NULL CONSTRAINT acquisition_status CHECK (status IN ('found', 'observed', 'quarantined')),
    object_name         text,
    n_parcels           integer,
    reason              text CONSTRAINT acquisition_reason CHECK (reason IN (
        'UNREADABLE_FILE', 'MISSING_BAND', 'WRONG_CRS', 'WRONG_GRID', 'OFFSET_UNKNOWN', 'OFFSET_CONTRADICTED',
        'INCOMPLETE_METADATA', 'SUPERSEDED', 'DUPLICATE')),
    detail              text,
    PRIMARY KEY (agency, season, item_id),
    FOREIGN KEY (agency, season) REFERENCES season,
    CHECK ((status = 'observed') = (object_name IS NOT NULL)),
    CHECK ((status = 'quarantined') = (reason IS NOT NULL))
);

-- Products. Their rows are only ever inserted, under the run that made them, and stand for themselves:
-- what a later load does to a parcel changes no published figure.

CREATE TABLE run (
    run_id         text PRIMARY KEY CHECK (run_id <> ''),
    agency         text NOT NULL,
    season         integer NOT NULL,
    as_of          date,
    status         text NOT NULL CONSTRAINT run_status CHECK (status IN ('running', 'published', 'failed')),
    attempts       integer NOT NULL DEFAULT 1,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    code_version   text NOT NULL,
    model_version  text,
    nuts_version   integer,
    n_acquisitions integer,
    n_parcels      integer,
    detail         text,
    report         jsonb,  -- what the assessments' and statistics' own guards said
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX run_season ON run (agency, season);

CREATE TABLE prediction (
    run_id             text NOT NULL REFERENCES run,
    parcel_id          text NOT NULL,
    nuts_id            text,
    area_ha            double precision NOT NULL,
    crop               text,
    probability        double precision CHECK (probability BETWEEN 0 AND 1.000001),
    second_crop        text,
    second_probability double precision CHECK (second_probability BETWEEN 0 AND 1.000001),
    n_observations     integer NOT NULL,
    last_observation   date,
    scored_by          text,
    PRIMARY KEY (run_id, parcel_id)
);

CREATE TABLE assessment (
    run_id               text NOT NULL REFERENCES run,
    parcel_id            text NOT NULL,
    holding_id           text,
    nuts_id              text,
    area_ha              double precision NOT NULL,
    declared_code        text NOT NULL,
    declared_crop        text,
    predicted_crop       text,
    declared_probability double precision,
    right_probability    double precision,
    verdict              text NOT NULL CONSTRAINT assessment_verdict CHECK (verdict IN (
        'conform', 'inconclusive', 'mismatch', 'not_assessable')),
    reason               text NOT NULL CONSTRAINT assessment_reason CHECK (reason IN (
        'NO_GEOMETRY', 'TOO_SMALL', 'TOO_FEW_OBSERVATIONS', 'CROP_NOT_IN_LEGEND', 'CLASS_TOO_RARE',
        'NO_RELIABLE_EVIDENCE', 'DECLARED_CROP_SUPPORTED', 'OTHER_CROP_SUPPORTED', 'LOOK_ALIKE_CROPS',
        'WEAK_EVIDENCE')),
    priority             double precision,
    PRIMARY KEY (run_id, parcel_id)
);
CREATE INDEX assessment_priority
    ON assessment (run_id, verdict, (-coalesce(priority, '-Infinity')), parcel_id);

CREATE TABLE statistic (
    run_id      text NOT NULL REFERENCES run,
    nuts_id     text NOT NULL,
    level       integer NOT NULL CHECK (level BETWEEN 0 AND 3),
    crop        text NOT NULL,
    strucpro    text NOT NULL,
    concept     text NOT NULL,
    basis       text NOT NULL CONSTRAINT statistic_basis CHECK (basis IN ('register', 'model_assisted', 'synthetic')),
    declared_ha double precision,
    mapped_ha   double precision,
    estimate_ha double precision,
    se_ha       double precision,
    ci95_low_ha double precision,
    ci95_high_ha double precision,
    cv          double precision,
    n_parcels   integer,
    n_holdings  integer,
    obs_flag    text,
    conf_status text,
    PRIMARY KEY (run_id, nuts_id, crop, strucpro, concept),
    -- a confidential cell is kept, and kept empty, whoever writes it
    CONSTRAINT statistic_confidential CHECK (conf_status IS DISTINCT FROM 'C' OR num_nonnulls(
        declared_ha, mapped_ha, estimate_ha, se_ha, ci95_low_ha, ci95_high_ha, cv, n_parcels, n_holdings) = 0)
);

-- What a person found on a parcel that a sample named; inclusion_probability is the sample's design.
CREATE TABLE review (
    agency                text NOT NULL,
    season                integer NOT NULL,
    sample_id             text NOT NULL,
    parcel_id             text NOT NULL,
    stratum               text NOT NULL,
    inclusion_probability double precision NOT NULL CHECK (inclusion_probability > 0 AND inclusion_probability <= 1),
    found_code            text,
    reviewed_on           date,
    note                  text,
    PRIMARY KEY (agency, season, sample_id, parcel_id),
    FOREIGN KEY (agency, season, parcel_id) REFERENCES parcel
);

-- Readers see the run that is named here, and no other.
CREATE TABLE published (
    agency       text NOT NULL,
    season       integer NOT NULL,
    run_id       text NOT NULL REFERENCES run,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (agency, season),
    FOREIGN KEY (agency, season) REFERENCES season
);

CREATE TABLE api_key (
    name       text PRIMARY KEY CHECK (name <> ''),
    key_hash   text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
