-- Every table, in three parts: the register and the acquisitions, which a season starts from; what runs publish; what
-- people do with a published run. At the end stand the triggers that keep what was published, released and declared.
-- Areas are in hectares (`_ha`), moments have a time zone, probabilities and shares lie between 0 and 1.

-- ---------------------------------------------------------------------------------------------------------------------
-- The register: what agencies declared.

CREATE TABLE agency (
    agency text PRIMARY KEY CHECK (agency <> '')
);

-- One campaign year of an agency.
CREATE TABLE season (
    agency    text NOT NULL REFERENCES agency,
    season    integer NOT NULL CHECK (season BETWEEN 1980 AND 2200),
    simulated boolean NOT NULL DEFAULT false,
    document  jsonb NOT NULL DEFAULT '{}',  -- the agency file, as read
    PRIMARY KEY (agency, season)
);

-- A parcel with its current outline (WKB, EPSG:4326). `box` is its bounding box: with a GiST index it answers
-- bounding-box queries as fast as PostGIS, which need not be installed.
CREATE TABLE parcel (
    agency    text NOT NULL,
    season    integer NOT NULL,
    parcel_id text NOT NULL CHECK (parcel_id <> ''),
    wkb       bytea NOT NULL,
    box       box NOT NULL,
    nuts_id   text,
    home_tile text,  -- the MGRS tile whose edge is farthest from the parcel
    PRIMARY KEY (agency, season, parcel_id),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX parcel_box ON parcel USING gist (box);

-- A versioned claim: parcel x crop code. A version is valid from the load that brought it until the load that replaced
-- or withdrew it, so the register of any moment can be read again.
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
    area_ha          double precision NOT NULL,  -- of the outline
    row_number       integer,                    -- in the source file
    repaired         boolean NOT NULL,           -- the outline was made valid on reading
    wkb              bytea,  -- the outline of this version, where the parcel has another one by now
    content_hash     text NOT NULL,
    source_file      text NOT NULL,
    source_hash      text NOT NULL,
    nuts_id          text,   -- of the outline of this version, where `wkb` is set
    home_tile        text,   -- the same
    PRIMARY KEY (agency, season, parcel_id, version),
    FOREIGN KEY (agency, season, parcel_id) REFERENCES parcel
);
CREATE UNIQUE INDEX declaration_current ON declaration (agency, season, parcel_id) WHERE valid_to IS NULL;

-- Rows of a declarations file that were not accepted. A later load of the same file replaces them.
CREATE TABLE rejection (
    agency      text NOT NULL,
    season      integer NOT NULL,
    source_file text NOT NULL,
    row_number  integer NOT NULL,
    parcel_id   text,
    reason      text NOT NULL CONSTRAINT rejection_reason CHECK (reason IN (
        'MISSING_PARCEL_ID', 'DUPLICATE_PARCEL_ID', 'MISSING_CODE', 'UNKNOWN_CODE', 'EMPTY_GEOMETRY',
        'INVALID_GEOMETRY', 'DUPLICATE_GEOMETRY', 'AREA_CONTRADICTS_GEOMETRY', 'OUTSIDE_REGIONS', 'NOT_A_CROP',
        'UNUSABLE_ROW')),
    detail      text NOT NULL,
    PRIMARY KEY (agency, season, source_file, row_number, reason),
    FOREIGN KEY (agency, season) REFERENCES season
);

-- What was changed or is remarkable in declarations that were accepted. Replaced together with the rejections.
CREATE TABLE notice (
    agency      text NOT NULL,
    season      integer NOT NULL,
    source_file text NOT NULL,
    row_number  integer NOT NULL,
    parcel_id   text NOT NULL,
    notice      text NOT NULL CONSTRAINT notice_kind CHECK (notice IN (
        'PARTS_MERGED', 'PLACEHOLDER_HOLDING', 'NEAREST_REGION', 'SEVERAL_CROPS', 'OVERLAP')),
    detail      text NOT NULL,
    PRIMARY KEY (agency, season, source_file, row_number, notice),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX notice_parcel ON notice (agency, season, parcel_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- The ledger of acquisitions: a killed run continues from here.

CREATE TABLE acquisition (
    agency              text NOT NULL,
    season              integer NOT NULL,
    item_id             text NOT NULL,
    tile                text,
    sensed_at           timestamptz,
    processing_baseline text,
    document            jsonb,  -- the whole acquisition; NULL for an item that was never usable
    status              text NOT NULL CONSTRAINT acquisition_status CHECK (status IN (
        'found', 'observed', 'quarantined')),
    object_name         text,   -- of its observations in the store
    n_parcels           integer,
    reason              text CONSTRAINT acquisition_reason CHECK (reason IN (
        'UNREADABLE_FILE', 'MISSING_BAND', 'WRONG_CRS', 'WRONG_GRID', 'OFFSET_UNKNOWN', 'OFFSET_CONTRADICTED',
        'INCOMPLETE_METADATA', 'SUPERSEDED', 'DUPLICATE', 'INVALID_ID', 'FORBIDDEN_ADDRESS', 'UNSUPPORTED_FORMAT')),
    detail              text,
    parcel_set          text,   -- which outlines its observations are of
    tried               text,   -- what a failed attempt depended on; NULL where the catalogue set it aside
    warning             text CONSTRAINT acquisition_warning CHECK (warning IN ('OFFSET_DOUBTFUL')),
    warning_detail      text,
    PRIMARY KEY (agency, season, item_id),
    FOREIGN KEY (agency, season) REFERENCES season,
    CHECK ((status = 'observed') = (object_name IS NOT NULL)),
    CHECK ((status = 'quarantined') = (reason IS NOT NULL)),
    CONSTRAINT acquisition_warned CHECK (warning IS NULL OR status = 'observed'),
    CONSTRAINT acquisition_tried CHECK (tried IS NULL OR status = 'quarantined')
);

-- Who works on an agency, or did last. An advisory lock says whether somebody still does: it ends with its session
-- whatever happens to the process. A row without `ended_at` and without lock was left by a killed process.
CREATE TABLE work (
    agency   text PRIMARY KEY REFERENCES agency,
    season   integer NOT NULL,
    task     text NOT NULL CHECK (task <> ''),    -- the command or the flow
    worker   text NOT NULL,                       -- user, machine and process
    since    timestamptz NOT NULL,
    ended_at timestamptz
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Runs and their products. Product rows are inserted under a run and never updated. They repeat what they need of the
-- register, so a later load changes no published figure.

CREATE TABLE run (
    run_id          text PRIMARY KEY CHECK (run_id <> ''),
    agency          text NOT NULL,
    season          integer NOT NULL,
    as_of           date,
    status          text NOT NULL CONSTRAINT run_status CHECK (status IN (
        'running', 'published', 'failed', 'interrupted')),
    attempts        integer NOT NULL DEFAULT 1,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    code_version    text NOT NULL,
    model_version   text,
    nuts_version    integer,
    n_acquisitions  integer,
    n_parcels       integer,
    detail          text,     -- why it failed, without passwords, folders and addresses
    report          jsonb,    -- what the guards of the assessments and the statistics reported
    simulated       boolean,  -- at publication: the agency file may say otherwise since; NULL before
    partial_regions text[],   -- at publication: regions with figures of which the register covers only a part
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
    scored_by          text,              -- `fold 2`, which never saw the parcel, or `mean of 4 folds`
    out_of_distribution double precision  -- share of training parcels that look more ordinary
        CHECK (out_of_distribution BETWEEN 0 AND 1),
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
    right_probability    double precision,  -- that the declaration is right
    verdict              text NOT NULL CONSTRAINT assessment_verdict CHECK (verdict IN (
        'conform', 'inconclusive', 'mismatch', 'not_assessable')),
    reason               text NOT NULL CONSTRAINT assessment_reason CHECK (reason IN (
        'NO_GEOMETRY', 'TOO_SMALL', 'TOO_FEW_OBSERVATIONS', 'CROP_NOT_IN_LEGEND', 'CLASS_TOO_RARE', 'CROP_NOT_LEARNT',
        'NO_RELIABLE_EVIDENCE', 'DECLARED_CROP_SUPPORTED', 'OTHER_CROP_SUPPORTED', 'LOOK_ALIKE_CROPS',
        'WEAK_EVIDENCE', 'CONFIRMED_BY_REVIEW')),
    priority             double precision,  -- the order of the list, highest first
    PRIMARY KEY (run_id, parcel_id)
);
-- A page of the API comes in its order from an index: of one verdict, and of all verdicts.
CREATE INDEX assessment_priority ON assessment (run_id, verdict, (-coalesce(priority, '-Infinity')), parcel_id);
CREATE INDEX assessment_order ON assessment (run_id, (-coalesce(priority, '-Infinity')), parcel_id);

-- Crop areas per NUTS region. A confidential cell is kept, and kept empty, whoever writes it.
CREATE TABLE statistic (
    run_id       text NOT NULL REFERENCES run,
    nuts_id      text NOT NULL,
    level        integer NOT NULL CHECK (level BETWEEN 0 AND 3),
    crop         text NOT NULL,
    strucpro     text NOT NULL,
    concept      text NOT NULL,
    basis        text NOT NULL CONSTRAINT statistic_basis CHECK (basis IN ('register', 'model_assisted', 'synthetic')),
    declared_ha  double precision,
    mapped_ha    double precision,
    estimate_ha  double precision,
    se_ha        double precision,
    ci95_low_ha  double precision,
    ci95_high_ha double precision,
    cv           double precision,
    n_parcels    integer,
    n_holdings   integer,
    obs_flag     text,
    conf_status  text,
    PRIMARY KEY (run_id, nuts_id, crop, strucpro, concept),
    CONSTRAINT statistic_confidential CHECK (conf_status IS DISTINCT FROM 'C' OR num_nonnulls(
        declared_ha, mapped_ha, estimate_ha, se_ha, ci95_low_ha, ci95_high_ha, cv, n_parcels, n_holdings) = 0)
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

-- ---------------------------------------------------------------------------------------------------------------------
-- Reviews: what was sampled from a published run, what people found, and what a list's reviews allow to say. Rows are
-- inserted and never updated: a correction is a later version.

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
    grid           integer[] NOT NULL,   -- list lengths that are tested: fixed from scores alone when it is drawn
    drawn_at       timestamptz NOT NULL,
    -- `list` certifies the list of mismatches. `areas` serves the statistics: all declarations by region, verdict and
    -- crop, with probability proportional to area.
    purpose        text NOT NULL DEFAULT 'list' CONSTRAINT review_purpose CHECK (purpose IN ('list', 'areas')),
    CONSTRAINT review_campaign_once UNIQUE (run_id, purpose, budget, seed, list_share),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX review_campaign_season ON review_campaign (agency, season);

CREATE TABLE review_parcel (
    campaign_id           text NOT NULL REFERENCES review_campaign,
    run_id                text NOT NULL,
    parcel_id             text NOT NULL,
    part                  text NOT NULL CONSTRAINT review_part CHECK (part IN ('list', 'control', 'area')),
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

-- What the reviews of a list allow to say, a version each time that they say something else; the highest counts.
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

-- ---------------------------------------------------------------------------------------------------------------------
-- Releases: numbered, frozen copies of published tables. The rows are copied, so a release stays what it was whatever
-- becomes of its run.

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
    obs_flag     text,           -- of the run's row, with the flag of the stage: f, p, r
    conf_status  text,
    PRIMARY KEY (agency, season, number, nuts_id, crop, strucpro, concept),
    FOREIGN KEY (agency, season, number) REFERENCES release,
    CONSTRAINT released_confidential CHECK (conf_status IS DISTINCT FROM 'C' OR num_nonnulls(
        declared_ha, mapped_ha, estimate_ha, se_ha, ci95_low_ha, ci95_high_ha, cv, n_parcels, n_holdings) = 0)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Keys of the API: only their hash is kept.

CREATE TABLE api_key (
    name       text PRIMARY KEY CHECK (name <> ''),
    key_hash   text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Guards: what was published, released or declared can be added to, and is not changed.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER run_stays_published BEFORE UPDATE ON run FOR EACH ROW
WHEN (OLD.status = 'published' AND
      (OLD.run_id, OLD.agency, OLD.season, OLD.as_of, OLD.status, OLD.code_version, OLD.model_version, OLD.nuts_version,
       OLD.n_parcels, OLD.report, OLD.simulated, OLD.partial_regions) IS DISTINCT FROM
      (NEW.run_id, NEW.agency, NEW.season, NEW.as_of, NEW.status, NEW.code_version, NEW.model_version, NEW.nuts_version,
       NEW.n_parcels, NEW.report, NEW.simulated, NEW.partial_regions))
EXECUTE FUNCTION refuse_change('permission denied: a published run does not change');

-- Rows of products are checked once a statement, which 500,000 rows do not notice.
CREATE FUNCTION refuse_rows_of_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM run WHERE status = 'published' AND run_id IN (SELECT run_id FROM added)) THEN
        RAISE EXCEPTION 'permission denied: a published run takes no more rows'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER published_predictions AFTER INSERT ON prediction REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();
CREATE TRIGGER published_assessments AFTER INSERT ON assessment REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();
CREATE TRIGGER published_statistics AFTER INSERT ON statistic REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rows_of_published_run();

CREATE FUNCTION pointer_to_published_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM run WHERE (run_id, agency, season, status)
                                         = (NEW.run_id, NEW.agency, NEW.season, 'published')) THEN
        RAISE EXCEPTION 'permission denied: % is no published run of this season', NEW.run_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER published_run BEFORE INSERT OR UPDATE ON published
    FOR EACH ROW EXECUTE FUNCTION pointer_to_published_run();

-- A version of a declaration is closed, and gets its own outline when the parcel has another. Nothing else of it
-- changes.
CREATE TRIGGER declaration_stays BEFORE UPDATE ON declaration FOR EACH ROW
WHEN ((OLD.agency, OLD.season, OLD.parcel_id, OLD.version, OLD.valid_from, OLD.crop_code, OLD.holding_id,
       OLD.declared_area_ha, OLD.area_ha, OLD.row_number, OLD.repaired, OLD.content_hash, OLD.source_file,
       OLD.source_hash) IS DISTINCT FROM
      (NEW.agency, NEW.season, NEW.parcel_id, NEW.version, NEW.valid_from, NEW.crop_code, NEW.holding_id,
       NEW.declared_area_ha, NEW.area_ha, NEW.row_number, NEW.repaired, NEW.content_hash, NEW.source_file,
       NEW.source_hash)
      OR (OLD.valid_to IS NOT NULL AND NEW.valid_to IS DISTINCT FROM OLD.valid_to)
      OR (OLD.wkb IS NOT NULL AND (NEW.wkb, NEW.nuts_id, NEW.home_tile) IS DISTINCT FROM
                                  (OLD.wkb, OLD.nuts_id, OLD.home_tile)))
EXECUTE FUNCTION refuse_change('permission denied: a declaration is amended by a further version');

-- A release is its run's table: the same rows and figures, with the flags of its stage. The release itself is checked
-- at the end of its transaction, when its rows are there.
CREATE FUNCTION check_release(of_agency text, of_season integer, of_number integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made_from text;
BEGIN
    SELECT l.run_id INTO made_from FROM release l JOIN run r USING (agency, season, run_id)
    WHERE (l.agency, l.season, l.number, r.status) = (of_agency, of_season, of_number, 'published');
    IF made_from IS NULL OR EXISTS (
        SELECT FROM (SELECT * FROM released_row WHERE (agency, season, number) = (of_agency, of_season, of_number)) w
        FULL JOIN (SELECT * FROM statistic WHERE run_id = made_from) s USING (nuts_id, crop, strucpro, concept)
        WHERE (w.level, w.basis, w.declared_ha, w.mapped_ha, w.estimate_ha, w.se_ha, w.ci95_low_ha, w.ci95_high_ha, w.cv,
               w.n_parcels, w.n_holdings, w.conf_status) IS DISTINCT FROM
              (s.level, s.basis, s.declared_ha, s.mapped_ha, s.estimate_ha, s.se_ha, s.ci95_low_ha, s.ci95_high_ha, s.cv,
               s.n_parcels, s.n_holdings, s.conf_status)) THEN
        RAISE EXCEPTION 'permission denied: release % is not the table of its published run', of_number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
CREATE FUNCTION release_is_of_its_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_release(NEW.agency, NEW.season, NEW.number);
    RETURN NULL;
END
$$;
CREATE FUNCTION rows_are_of_their_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_release(agency, season, number) FROM (SELECT DISTINCT agency, season, number FROM added) releases;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER release_of_its_run AFTER INSERT ON release DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION release_is_of_its_run();
CREATE TRIGGER rows_of_their_run AFTER INSERT ON released_row REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION rows_are_of_their_run();
