"""Bearer tokens of a provider, by OAuth 2.0: from client credentials, or from a refresh token.

Source: RFC 6749, sections 4.4 (client credentials) and 6 (refreshing an access token). A service may give a new
refresh token with each access token; the newest one is used, and the environment's where that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from cropmap.masking import hide
from cropmap.sources.catalogs.providers import Provider, Token
from cropmap.sources.catalogs.sign_in.renewed import Lent, NoEntryError, Renewed, answered
from cropmap.sources.catalogs.sign_in.secrets import secret, variable

LASTS_S: Final = 300.0
"""where an answer does not say how long its token is good for"""
MAX_TOKEN: Final = 20_000


@lru_cache(256)
def token_of(provider: Provider) -> Renewed:
    """The access token of a provider that has a `token`, one for this process."""
    assert provider.token is not None
    return Renewed(_Service(provider.name, provider.token).ask)


class _Service:
    def __init__(self, name: str, token: Token) -> None:
        self._name, self._token = name, token
        self._newest: tuple[str, str] | None = None
        """the environment's refresh token, and the one that came of it"""

    def ask(self) -> Lent:
        client = secret(self._name, "CLIENT_ID") or self._token.client_id
        client_secret, refresh = secret(self._name, "CLIENT_SECRET"), secret(self._name, "REFRESH_TOKEN")
        scope = {"scope": self._token.scope} if self._token.scope else {}
        if client and client_secret:
            form = {"grant_type": "client_credentials", "client_id": client, "client_secret": client_secret}
            return self._lent(self._answer(form | scope))
        if not (refresh and client):
            raise NoEntryError(
                f"{urlsplit(self._token.address).hostname} gives tokens for a client's secret or a refresh token",
                mend=f"Set {variable(self._name, 'CLIENT_ID')} and {variable(self._name, 'CLIENT_SECRET')}, or "
                f"{variable(self._name, 'REFRESH_TOKEN')}",
            )
        form = {"grant_type": "refresh_token", "client_id": client} | scope
        newest = self._newest[1] if self._newest and self._newest[0] == refresh else refresh
        try:
            document = self._answer(form | {"refresh_token": newest})
        except NoEntryError:
            if newest == refresh:
                raise
            document = self._answer(form | {"refresh_token": refresh})
        if isinstance(following := document.get("refresh_token"), str) and following:
            hide(following)
            self._newest = refresh, following
        return self._lent(document)

    def _answer(self, form: dict[str, str]) -> Mapping[str, object]:
        return answered(
            "POST", self._token.address, what=f"the token service of {self._name}", mend=self._mend(), data=form
        )

    def _lent(self, document: Mapping[str, object]) -> Lent:
        token, lasts = document.get("access_token"), document.get("expires_in", LASTS_S)
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and 0 < len(token) <= MAX_TOKEN):
            raise NoEntryError(f"the token service of {self._name} answers without a token", mend=self._mend())
        try:
            seconds = float(lasts) if isinstance(lasts, str | float | int) and not isinstance(lasts, bool) else LASTS_S
        except (ValueError, OverflowError):
            seconds = LASTS_S
        return Lent(token, seconds if 0 < seconds < float("inf") else LASTS_S)

    def _mend(self) -> str:
        host = urlsplit(self._token.address).hostname
        return f"Check the variables {variable(self._name, '…')} and that {host} can be reached, then run it again"
