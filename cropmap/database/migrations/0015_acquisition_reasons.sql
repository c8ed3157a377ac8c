-- Items of a catalogue that cannot be counted by their id, that point where they may not, or that no reader takes.

ALTER TABLE acquisition DROP CONSTRAINT acquisition_reason;
ALTER TABLE acquisition ADD CONSTRAINT acquisition_reason CHECK (reason IN (
    'UNREADABLE_FILE', 'MISSING_BAND', 'WRONG_CRS', 'WRONG_GRID', 'OFFSET_UNKNOWN', 'OFFSET_CONTRADICTED',
    'INCOMPLETE_METADATA', 'SUPERSEDED', 'DUPLICATE', 'INVALID_ID', 'FORBIDDEN_ADDRESS', 'UNSUPPORTED_FORMAT'));
