-- The contract for people with SQL: names and columns of these views are stable.

CREATE VIEW crop_prediction AS
SELECT agency, season, p.parcel_id, p.nuts_id, p.area_ha, p.crop, p.probability, p.second_crop, p.second_probability,
       p.n_observations, p.last_observation, p.scored_by, r.model_version, run_id
FROM published JOIN run r USING (agency, season, run_id) JOIN prediction p USING (run_id);

CREATE VIEW crop_assessment AS
SELECT agency, season, a.parcel_id, a.holding_id, a.nuts_id, a.area_ha, a.declared_code, a.declared_crop,
       a.predicted_crop, a.declared_probability, a.verdict, a.reason, a.priority, run_id
FROM published JOIN assessment a USING (run_id);

CREATE VIEW crop_statistic AS
SELECT agency, season, r.as_of, r.nuts_version, s.nuts_id, s.level, s.crop, s.strucpro, s.concept, s.basis,
       s.declared_ha, s.mapped_ha, s.estimate_ha, s.se_ha, s.ci95_low_ha, s.ci95_high_ha, s.cv,
       s.n_parcels, s.n_holdings, s.obs_flag, s.conf_status, run_id
FROM published JOIN run r USING (agency, season, run_id) JOIN statistic s USING (run_id);

CREATE VIEW rejected_declaration AS
SELECT agency, season, source_file, row_number, parcel_id, reason, detail FROM rejection;

CREATE VIEW run_log AS
SELECT run_id, agency, season, as_of, status, started_at, finished_at, code_version, model_version,
       n_acquisitions, n_parcels, detail
FROM run;
