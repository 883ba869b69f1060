"""Who may use the server: requests that have the token in their path, and that no other site has caused.

    guard = Guard(new_token(), port)
    guard.refusal(request.path, request.headers)       # why a request is refused; "" where it is not

A site whose name leads to 127.0.0.1 (DNS rebinding) is known by the header Host, and any other site by Origin.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from multidict import CIMultiDictProxy

HOST = "127.0.0.1"
TOKEN_BYTES = 32
HTTP_PORT = 80
"""Browsers do not name this port."""


def new_token() -> str:
    """A random token that a path can have."""
    return secrets.token_urlsafe(TOKEN_BYTES)


@dataclass(frozen=True)
class Guard:
    """The token, and the port where the server is."""

    token: str
    port: int

    @property
    def address(self) -> str:
        """What a person opens. Whoever has it can use the workbench."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def refusal(self, path: str, headers: CIMultiDictProxy[str]) -> str:
        """Why a request is refused, in a sentence that does not name the token; "" where it is not refused."""
        hosts = headers.getall("Host", [])
        port = "" if self.port == HTTP_PORT else f":{self.port}"
        if len(hosts) != 1 or hosts[0] not in (f"{HOST}{port}", f"localhost{port}"):
            return (
                f"Refused: open the workbench at http://{HOST}:{self.port}; forward the same port from other machines."
            )
        if any(origin != f"http://{hosts[0]}" for origin in headers.getall("Origin", [])):
            return "Refused: the request came from another site."
        given = path.split("/")[1] if path.startswith("/") else ""
        if not hmac.compare_digest(given.encode(errors="replace"), self.token.encode()):
            return (
                "Refused: the token is missing or wrong; open the whole address that `skillos-tui serve` has printed."
            )
        return ""
