-- Rows that a profile leaves out (landscape elements, uses laid over others) are counted with a reason of their own.

ALTER TABLE rejection DROP CONSTRAINT rejection_reason;
ALTER TABLE rejection ADD CONSTRAINT rejection_reason CHECK (reason IN (
    'MISSING_PARCEL_ID', 'DUPLICATE_PARCEL_ID', 'MISSING_CODE', 'UNKNOWN_CODE', 'EMPTY_GEOMETRY',
    'INVALID_GEOMETRY', 'DUPLICATE_GEOMETRY', 'AREA_CONTRADICTS_GEOMETRY', 'OUTSIDE_REGIONS', 'NOT_A_CROP'));
