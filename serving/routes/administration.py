"""/keys, /accounts: who may use the API. For administrators, each within its agency.

The database holds an administrator to that too: it sees and changes rows of its agency alone. What is refused here is
refused before anything is looked up, so that no answer tells what another agency has.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from cropmap.database import accounts, keys
from cropmap.database.keys import HolderRefusedError, KeyHolder
from serving.access import Reader, Writer
from serving.answers import Account, Key, MadeAccount, MadeKey, SetPassword
from serving.bodies import REFUSALS, JsonBody, NewAccount, NewKey, NewPassword, described
from serving.errors import Problem, RoleRefusedError
from serving.names import HolderPath
from serving.tables import table

router = APIRouter(tags=["administration"])
log = logging.getLogger("cropmap.serving.administration")
"""not limited to one line a minute, as `serving.logs` limits the others"""

UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "no such name in the agency of the key"}
}
MAKING: Final[dict[int | str, dict[str, Any]]] = {
    **REFUSALS,
    403: {"model": Problem, "description": "the role is not administrator, or the agency not its own"},
    409: {"model": Problem, "description": "the name is taken"},
}


@router.get("/keys", response_model=list[Key])
def list_keys(reader: Reader) -> Response:
    """Keys by name, revoked ones too. The keys themselves are not kept."""
    with reader() as connection:
        rows = keys.list_keys(connection)
    return table(Key, rows)


@router.post("/keys", status_code=201, responses=MAKING, openapi_extra=described(NewKey))
def create_key(request: Request, writer: Writer, new: Annotated[NewKey, Depends(JsonBody(NewKey))]) -> MadeKey:
    """Makes a key, and answers it this once.

    An administrator of one agency makes keys of that agency, whose names end with `@` and the agency.
    """
    _require_scope(request, name=new.name, agency=new.agency)
    with writer() as connection:
        secret = keys.create_key(connection, new.name, role=new.role, agency=new.agency, expires_at=new.expires_at)
    request.app.state.keys.read_again()
    _log(request, f"made key {new.name!r}: {new.role} of {new.agency or 'every agency'}")
    return MadeKey(name=new.name, role=new.role, agency=new.agency, expires_at=new.expires_at, key=secret)


@router.delete("/keys/{name}", status_code=204, responses=UNKNOWN)
def revoke_key(request: Request, writer: Writer, name: HolderPath) -> None:
    """Makes a key invalid, at once and for good."""
    with writer() as connection:
        keys.revoke_key(connection, name)
    _log(request, f"revoked key {name!r}")


@router.get("/accounts", response_model=list[Account])
def list_accounts(reader: Reader) -> Response:
    """Accounts by name, disabled ones too. Passwords are not kept."""
    with reader() as connection:
        rows = accounts.list_accounts(connection)
    return table(Account, rows)


@router.post("/accounts", status_code=201, responses=MAKING, openapi_extra=described(NewAccount))
def create_account(
    request: Request, writer: Writer, new: Annotated[NewAccount, Depends(JsonBody(NewAccount))]
) -> MadeAccount:
    """Makes an account. Its password is that of the request, or one that is made and answered this once.

    An administrator of one agency makes accounts of that agency, whose names end with `@` and the agency.
    """
    _require_scope(request, name=new.name, agency=new.agency)
    made = None if new.password else accounts.made_password()
    with writer() as connection:
        accounts.create_account(connection, new.name, new.password or made or "", role=new.role, agency=new.agency)
    _log(request, f"made account {new.name!r}: {new.role} of {new.agency or 'every agency'}")
    return MadeAccount(name=new.name, role=new.role, agency=new.agency, password=made)


@router.put("/accounts/{name}/password", responses={**UNKNOWN, **REFUSALS}, openapi_extra=described(NewPassword))
def set_password(
    request: Request, writer: Writer, name: HolderPath, new: Annotated[NewPassword, Depends(JsonBody(NewPassword))]
) -> SetPassword:
    """Gives an account another password, and enables it. The former one is closed at once.

    The password is that of the request, or one that is made and answered this once.
    """
    made = None if new.password else accounts.made_password()
    with writer() as connection:
        accounts.set_password(connection, name, new.password or made or "")
    _log(request, f"gave account {name!r} another password")
    return SetPassword(name=name, password=made)


@router.delete("/accounts/{name}", status_code=204, responses=UNKNOWN)
def disable_account(request: Request, writer: Writer, name: HolderPath) -> None:
    """Closes an account at once. Another password opens it again."""
    with writer() as connection:
        accounts.disable_account(connection, name)
    _log(request, f"disabled account {name!r}")


def _require_scope(request: Request, *, name: str, agency: str | None) -> None:
    """Raises RoleRefusedError for an agency that is not the administrator's, and HolderRefusedError for a name that is
    not one of its agency. An administrator of every agency may make all."""
    holder: KeyHolder = request.state.key_holder
    if holder.agency is None:
        return
    if agency != holder.agency:
        raise RoleRefusedError(
            f"{holder.actor} is for agency {holder.agency}", where="agency", mend=f'Write "agency": "{holder.agency}"'
        )
    end = f"@{holder.agency}"
    if not name.removesuffix(end).strip() or not name.endswith(end):
        raise HolderRefusedError("not a name of the agency", where="name", mend=f"Write a name that ends with {end}")


def _log(request: Request, done: str) -> None:
    holder: KeyHolder = request.state.key_holder
    log.info("%s %s", holder.actor, done)
