-- Acquisitions whose offset was chosen by the pixels. The correction is part of the numbers in the observation file.

ALTER TABLE acquisition ADD COLUMN offset_correction double precision;  -- reflectance added to every band

ALTER TABLE acquisition DROP CONSTRAINT acquisition_warning;
ALTER TABLE acquisition ADD CONSTRAINT acquisition_warning CHECK (warning IN ('OFFSET_DOUBTFUL', 'OFFSET_CORRECTED'));
ALTER TABLE acquisition ADD CONSTRAINT acquisition_corrected CHECK (
    (offset_correction IS NOT NULL) = (warning IS NOT DISTINCT FROM 'OFFSET_CORRECTED'));
