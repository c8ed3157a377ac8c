-- How strange a parcel looks to the models that predict it: the share of training parcels that look more ordinary.

ALTER TABLE prediction ADD COLUMN out_of_distribution double precision CHECK (out_of_distribution BETWEEN 0 AND 1);

CREATE OR REPLACE VIEW crop_prediction AS
SELECT agency, season, p.parcel_id, p.nuts_id, p.area_ha, p.crop, p.probability, p.second_crop, p.second_probability,
       p.n_observations, p.last_observation, p.scored_by, r.model_version, run_id, p.out_of_distribution
FROM published JOIN run r USING (agency, season, run_id) JOIN prediction p USING (run_id);
