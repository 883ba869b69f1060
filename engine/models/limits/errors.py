"""What one request to a server raises where the same request may succeed later. All other errors are final."""

from __future__ import annotations


class Retryable(Exception):
    """The server gave no answer: no connection, a time-out, a status of 5xx, an answer that breaks off.

    `reason` is for users, without the server's address: "500 Internal Server Error", "connection refused". `after` is how
    many seconds the server asks to wait (Retry-After); None where it does not say.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Busy(Retryable):
    """The server works, and takes no more requests at present: a status of 429, or 503 with Retry-After."""


class Slow(Retryable):
    """A request got no answer in its time: the server may be stuck, or have more requests than it can answer."""
