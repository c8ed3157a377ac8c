-- What somebody should know of declarations that were accepted: put together from several rows, without a holding that
-- names anybody, outside the boundaries, on land that is declared twice. Counted like rejections, and replaced with them.

CREATE TABLE notice (
    agency      text NOT NULL,
    season      integer NOT NULL,
    source_file text NOT NULL,
    row_number  integer NOT NULL,
    parcel_id   text NOT NULL,
    notice      text NOT NULL CONSTRAINT notice_kind CHECK (notice IN (
        'PARTS_MERGED', 'PLACEHOLDER_HOLDING', 'NEAREST_REGION', 'SEVERAL_CROPS', 'OVERLAP')),
    detail      text NOT NULL,
    PRIMARY KEY (agency, season, source_file, row_number, notice),
    FOREIGN KEY (agency, season) REFERENCES season
);
CREATE INDEX notice_parcel ON notice (agency, season, parcel_id);

CREATE VIEW declaration_notice AS
SELECT agency, season, source_file, row_number, parcel_id, notice, detail FROM notice;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_reader') THEN
        GRANT SELECT ON declaration_notice TO cropmap_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cropmap_writer') THEN
        GRANT SELECT ON declaration_notice, notice TO cropmap_writer;
        GRANT INSERT, DELETE ON notice TO cropmap_writer;
    END IF;
END
$$;
