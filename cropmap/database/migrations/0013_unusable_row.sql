-- Rows that no reader can make a declaration of (another number of fields than the header, a NUL, a value of
-- kilobytes) are counted with a reason of their own, and their file is read.

ALTER TABLE rejection DROP CONSTRAINT rejection_reason;
ALTER TABLE rejection ADD CONSTRAINT rejection_reason CHECK (reason IN (
    'MISSING_PARCEL_ID', 'DUPLICATE_PARCEL_ID', 'MISSING_CODE', 'UNKNOWN_CODE', 'EMPTY_GEOMETRY',
    'INVALID_GEOMETRY', 'DUPLICATE_GEOMETRY', 'AREA_CONTRADICTS_GEOMETRY', 'OUTSIDE_REGIONS', 'NOT_A_CROP',
    'UNUSABLE_ROW'));
