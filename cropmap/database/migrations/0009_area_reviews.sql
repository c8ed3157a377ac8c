-- Samples for area statistics beside those that certify a list: drawn from all declarations by region, verdict and crop,
-- with probability proportional to area.

ALTER TABLE review_campaign
    ADD COLUMN purpose text NOT NULL DEFAULT 'list' CONSTRAINT review_purpose CHECK (purpose IN ('list', 'areas')),
    DROP CONSTRAINT review_campaign_run_id_budget_seed_list_share_key,
    ADD CONSTRAINT review_campaign_once UNIQUE (run_id, purpose, budget, seed, list_share);

ALTER TABLE review_parcel
    DROP CONSTRAINT review_part,
    ADD CONSTRAINT review_part CHECK (part IN ('list', 'control', 'area'));
