-- What was set aside is tried again when its cause may have changed, and an offset may be doubtful without being wrong.

ALTER TABLE acquisition
    -- what an attempt to observe depended on, while it is quarantined by one; NULL where the catalogue set it aside
    ADD COLUMN tried text,
    -- observed, and yet to be looked at
    ADD COLUMN warning text CONSTRAINT acquisition_warning CHECK (warning IN ('OFFSET_DOUBTFUL')),
    ADD COLUMN warning_detail text,
    ADD CONSTRAINT acquisition_warned CHECK (warning IS NULL OR status = 'observed'),
    ADD CONSTRAINT acquisition_tried CHECK (tried IS NULL OR status = 'quarantined');
