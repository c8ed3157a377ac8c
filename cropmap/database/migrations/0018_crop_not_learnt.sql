-- A declaration of a crop that the judging model was trained without cannot be assessed, and says so. Why a run failed is
-- kept without passwords: what earlier versions wrote down is cleaned.

ALTER TABLE assessment
    DROP CONSTRAINT assessment_reason,
    ADD CONSTRAINT assessment_reason CHECK (reason IN (
        'NO_GEOMETRY', 'TOO_SMALL', 'TOO_FEW_OBSERVATIONS', 'CROP_NOT_IN_LEGEND', 'CLASS_TOO_RARE', 'CROP_NOT_LEARNT',
        'NO_RELIABLE_EVIDENCE', 'DECLARED_CROP_SUPPORTED', 'OTHER_CROP_SUPPORTED', 'LOOK_ALIKE_CROPS',
        'WEAK_EVIDENCE', 'CONFIRMED_BY_REVIEW'));

UPDATE run SET detail = regexp_replace(detail, '//[^\s/@]*@', '//***@', 'g') WHERE detail ~ '//[^\s/@]*@';
