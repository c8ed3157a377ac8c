-- Pages of a season's assessments without a choice of verdicts come in their order from an index, as those of one
-- verdict do: a country's rows are not sorted for each page.
CREATE INDEX assessment_order ON assessment (run_id, (-coalesce(priority, '-Infinity')), parcel_id);
