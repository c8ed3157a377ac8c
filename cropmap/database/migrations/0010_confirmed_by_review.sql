-- A declaration that a review found right is not flagged again, and says so.

ALTER TABLE assessment
    DROP CONSTRAINT assessment_reason,
    ADD CONSTRAINT assessment_reason CHECK (reason IN (
        'NO_GEOMETRY', 'TOO_SMALL', 'TOO_FEW_OBSERVATIONS', 'CROP_NOT_IN_LEGEND', 'CLASS_TOO_RARE',
        'NO_RELIABLE_EVIDENCE', 'DECLARED_CROP_SUPPORTED', 'OTHER_CROP_SUPPORTED', 'LOOK_ALIKE_CROPS',
        'WEAK_EVIDENCE', 'CONFIRMED_BY_REVIEW'));
