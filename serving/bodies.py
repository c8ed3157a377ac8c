"""What the API is sent, field by field, and how it is read: JSON of a known form, after the request was let in.

The framework would read a body before it looks at the key. Here nobody without one has anything read, and who sends a
body slowly has a bounded time for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import anyio
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect

from cropmap.database.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD
from cropmap.errors import InputError
from cropmap.schemas import AccessRole
from serving.errors import BodyLateError, MediaTypeError, Problem

Sent = TypeVar("Sent", bound=BaseModel)

JSON: Final = "application/json"
BODY_SECONDS: Final = 10.0
LAST_YEAR: Final = 2200
SCHEMAS: Final = "#/components/schemas/"


def _in_this_era(moment: datetime) -> datetime:
    if moment.year > LAST_YEAR:  # PostgreSQL answers years that Python does not have
        raise ValueError(f"the year is {LAST_YEAR} at the latest")
    return moment


KeyName = Annotated[
    str,
    Field(
        description="name of the key, without a slash; `…@AGENCY` of an administrator for one agency",
        min_length=1,
        max_length=200,
        pattern=r"^[^/\x00-\x1f\x7f-\x9f]+$",
        examples=["field desk@bretagne"],
    ),
]
AccountName = Annotated[
    str,
    Field(
        description="name of the account, without colon and slash; `…@AGENCY` of an administrator for one agency",
        min_length=1,
        max_length=200,
        pattern=r"^[^/:\x00-\x1f\x7f-\x9f]+$",
        examples=["jeanne@bretagne"],
    ),
]
Password = Annotated[
    str | None,
    Field(
        description="null or left out: one is made, and answered once",
        min_length=SHORTEST_PASSWORD,
        max_length=LONGEST_PASSWORD,
    ),
]
HeldRole = Annotated[AccessRole, Field(description="what its holder may do", examples=["controller"])]
HeldAgency = Annotated[
    str | None,
    Field(
        description="agency that it is for; null is every agency",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]+$",
        examples=["bretagne"],
    ),
]


class NewKey(BaseModel):
    """A key that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName
    role: HeldRole
    agency: HeldAgency
    expires_at: Annotated[
        AwareDatetime | None,
        AfterValidator(lambda moment: moment and _in_this_era(moment)),
        Field(description="from when it is refused; null or left out: never", examples=["2027-01-01T00:00:00Z"]),
    ] = None


class NewAccount(BaseModel):
    """An account that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: AccountName
    role: HeldRole
    agency: HeldAgency
    password: Password = None


class NewPassword(BaseModel):
    """Another password of an account."""

    model_config = ConfigDict(extra="forbid")

    password: Password = None


MODELS: Final = (NewKey, NewAccount, NewPassword)
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    408: {"model": Problem, "description": "the body came too late"},
    415: {"model": Problem, "description": f"the body is not {JSON}"},
}


class JsonBody(Generic[Sent]):
    """A dependency of routes: the body of the request as `model`. The dependencies of the router, which let the request
    in, are solved before it."""

    def __init__(self, model: type[Sent]) -> None:
        self._model = model

    async def __call__(self, request: Request) -> Sent:
        """Raises MediaTypeError, BodyLateError, and RequestValidationError for what is not of the form."""
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise MediaTypeError(f"Content-Type: {media_type or 'none'}", mend=f"Send JSON as {JSON}")
        try:
            with anyio.fail_after(BODY_SECONDS):
                sent = await request.body()
        except TimeoutError as error:
            raise BodyLateError("the body did not come", mend="Send it at once") from error
        except ClientDisconnect as error:
            raise InputError("the body did not come to its end") from error
        try:
            return self._model.model_validate_json(sent, strict=True)
        except ValidationError as error:
            raise RequestValidationError(
                [{**found, "loc": ("body", *found["loc"])} for found in error.errors(include_input=False)]
            ) from error


def described(model: type[BaseModel]) -> dict[str, Any]:
    """What the description of a route says of its body."""
    content = {JSON: {"schema": {"$ref": SCHEMAS + model.__name__}}}
    return {"requestBody": {"required": True, "content": content}}


def schemas(models: Sequence[type[BaseModel]] = MODELS) -> dict[str, Any]:
    """Their JSON schemas, by name."""
    _, made = models_json_schema([(model, "validation") for model in models], ref_template=f"{SCHEMAS}{{model}}")
    found: dict[str, Any] = made["$defs"]
    return found
