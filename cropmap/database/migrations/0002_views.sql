-- The contract for readers with SQL: names and columns of these views are stable. New columns come last.
-- `simulated` is what the run was published with, or what the season says as long as it is not published.

-- The published run of each season.

CREATE OR REPLACE VIEW crop_prediction AS
SELECT agency, season, p.parcel_id, p.nuts_id, p.area_ha, p.crop, p.probability, p.second_crop, p.second_probability,
       p.n_observations, p.last_observation, p.scored_by, r.model_version, run_id, p.out_of_distribution,
       coalesce(r.simulated, s.simulated) AS simulated
FROM published JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season)
JOIN prediction p USING (run_id);

CREATE OR REPLACE VIEW crop_assessment AS
SELECT agency, season, a.parcel_id, a.holding_id, a.nuts_id, a.area_ha, a.declared_code, a.declared_crop,
       a.predicted_crop, a.declared_probability, a.verdict, a.reason, a.priority, run_id,
       coalesce(r.simulated, s.simulated) AS simulated
FROM published JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season)
JOIN assessment a USING (run_id);

CREATE OR REPLACE VIEW crop_statistic AS
SELECT agency, season, r.as_of, r.nuts_version, t.nuts_id, t.level, t.crop, t.strucpro, t.concept, t.basis,
       t.declared_ha, t.mapped_ha, t.estimate_ha, t.se_ha, t.ci95_low_ha, t.ci95_high_ha, t.cv,
       t.n_parcels, t.n_holdings, t.obs_flag, t.conf_status, run_id,
       coalesce(r.simulated, s.simulated) AS simulated,
       coalesce(t.nuts_id = ANY (r.partial_regions), false) AS partial_region
FROM published JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season)
JOIN statistic t USING (run_id);

-- Releases.

CREATE OR REPLACE VIEW statistic_release AS
SELECT agency, season, l.number, l.stage, l.as_of, l.nuts_version, l.released_at, l.note, r.model_version,
       r.code_version, run_id, l.content_hash, coalesce(r.simulated, s.simulated) AS simulated
FROM release l JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season);

CREATE OR REPLACE VIEW released_statistic AS
SELECT agency, season, number, l.stage, l.as_of, l.nuts_version, t.nuts_id, t.level, t.crop, t.strucpro, t.concept,
       t.basis, t.declared_ha, t.mapped_ha, t.estimate_ha, t.se_ha, t.ci95_low_ha, t.ci95_high_ha, t.cv, t.n_parcels,
       t.n_holdings, t.obs_flag, t.conf_status, run_id, coalesce(r.simulated, s.simulated) AS simulated,
       coalesce(t.nuts_id = ANY (r.partial_regions), false) AS partial_region
FROM release l JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season)
JOIN released_row t USING (agency, season, number);

-- Runs and loads.

CREATE OR REPLACE VIEW run_log AS
SELECT r.run_id, agency, season, r.as_of, r.status, r.started_at, r.finished_at, r.code_version, r.model_version,
       r.n_acquisitions, r.n_parcels, r.detail, coalesce(r.simulated, s.simulated) AS simulated
FROM run r JOIN season s USING (agency, season);

CREATE OR REPLACE VIEW rejected_declaration AS
SELECT agency, season, r.source_file, r.row_number, r.parcel_id, r.reason, r.detail, s.simulated
FROM rejection r JOIN season s USING (agency, season);

CREATE OR REPLACE VIEW declaration_notice AS
SELECT agency, season, n.source_file, n.row_number, n.parcel_id, n.notice, n.detail, s.simulated
FROM notice n JOIN season s USING (agency, season);

-- Every version of every declaration, and how it differs from the one before. A version that ended without a
-- following one was withdrawn.
CREATE OR REPLACE VIEW declaration_log AS
SELECT agency, season, v.parcel_id, v.version, v.valid_from, v.valid_to,
       CASE WHEN v.before_version IS NULL THEN 'new'
            WHEN v.before_valid_to < v.valid_from THEN 'came back'
            WHEN v.crop_code <> v.before_crop_code AND v.wkb <> v.before_wkb THEN 'crop and outline changed'
            WHEN v.crop_code <> v.before_crop_code THEN 'crop changed'
            WHEN v.wkb <> v.before_wkb THEN 'outline changed'
            ELSE 'other changes' END AS change,
       v.crop_code, v.holding_id, v.declared_area_ha, v.area_ha, v.nuts_id, v.row_number, v.source_file, v.source_hash,
       s.simulated
FROM (
    SELECT o.*, lag(version) OVER earlier AS before_version, lag(valid_to) OVER earlier AS before_valid_to,
           lag(crop_code) OVER earlier AS before_crop_code, lag(wkb) OVER earlier AS before_wkb
    FROM (
        SELECT agency, season, parcel_id, d.version, d.valid_from, d.valid_to, d.crop_code, d.holding_id,
               d.declared_area_ha, d.area_ha, d.row_number, d.source_file, d.source_hash,
               coalesce(d.wkb, p.wkb) AS wkb, CASE WHEN d.wkb IS NULL THEN p.nuts_id ELSE d.nuts_id END AS nuts_id
        FROM declaration d JOIN parcel p USING (agency, season, parcel_id)) o
    WINDOW earlier AS (PARTITION BY agency, season, parcel_id ORDER BY version)) v
JOIN season s USING (agency, season);

-- Reviews. Who reviewed, and the notes, are personal data and stay in the table.

CREATE OR REPLACE VIEW reviewed_parcel AS
SELECT c.agency, c.season, p.parcel_id, a.declared_code, a.declared_crop, a.predicted_crop, a.verdict, p.part,
       p.stratum, p.inclusion_probability, p.list_rank, f.finding, f.found_code, f.reviewed_at, f.version,
       c.campaign_id, c.run_id, coalesce(r.simulated, s.simulated) AS simulated
FROM review_campaign c JOIN run r ON r.run_id = c.run_id JOIN season s ON (s.agency, s.season) = (r.agency, r.season)
JOIN review_parcel p USING (campaign_id)
JOIN assessment a ON (a.run_id, a.parcel_id) = (p.run_id, p.parcel_id)
LEFT JOIN LATERAL (SELECT * FROM review v WHERE (v.campaign_id, v.parcel_id) = (p.campaign_id, p.parcel_id)
                   ORDER BY v.version DESC LIMIT 1) f ON true;

CREATE OR REPLACE VIEW list_certification AS
SELECT DISTINCT ON (c.campaign_id) c.agency, c.season, c.run_id, c.campaign_id, f.certified, f.reason, c.target,
       1 - c.delta AS confidence, c.list_size, f.certified_size, f.sampled, f.reviewed, f.found_right, c.estimated_rate,
       f.statement, f.stated_at, coalesce(r.simulated, s.simulated) AS simulated
FROM review_campaign c JOIN run r ON r.run_id = c.run_id JOIN season s ON (s.agency, s.season) = (r.agency, r.season)
JOIN review_certificate f USING (campaign_id)
ORDER BY c.campaign_id, f.version DESC;
