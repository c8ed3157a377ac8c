"""Records that are written as JSON and validated when they are read again. In: a JSON document. Out: a record, or one
line why not."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cropmap.errors import InputError

AGAIN: Final = "Run `cropmap season run` again"
"""what mends the report of a run that an earlier version made"""
SHOWN: Final = 3
"""fields that one line names"""


class Record(BaseModel):
    """The base of what a run says of itself. Frozen.

    Only fields that were given are written: a forecast, or a table without suppression, says less. A field that is
    missing in a document (an earlier version did not write it) reads as its default. A key that is not known here (a
    later version wrote it) is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_json(self) -> dict[str, object]:
        """Plain values, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)

    def joined(self, other: Self) -> Self:
        """This record with the fields that were given to `other`."""
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})

    @classmethod
    def read(cls, document: object, *, where: str, mend: str = AGAIN) -> Self:
        """Raises InputError, which names the first fields, where the document does not fit."""
        try:
            return cls.model_validate(document, extra="ignore")
        except ValidationError as error:
            raise InputError(f"does not fit this version ({_problems(error)})", where=where, mend=mend) from error


def _problems(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(str(part) for part in item['loc']) or 'the document'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]
    more = f"; {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return " ".join("; ".join(problems[:SHOWN]).split()) + more
