"""The processes that fetch, convert and tune: what they get of this process's environment, and what they printed last."""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine.core.text import printable, without_credentials

PASSED = frozenset(
    "PATH HOME USER LANG LC_ALL TMPDIR LD_LIBRARY_PATH VIRTUAL_ENV PYTHONPATH NETRC SSL_CERT_FILE SSL_CERT_DIR "
    "REQUESTS_CA_BUNDLE HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy".split()
)
PREFIXES = ("PIP_", "XDG_")


def environment(**more: str) -> Mapping[str, str]:
    """The variables that such a process needs, and `more`. Keys of servers are not among them."""
    kept = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith(PREFIXES)}
    return kept | more


def last_line(output: bytes) -> str:
    """The last line that is not empty, safe for a message; "no message" where there is none."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(without_credentials(lines[-1].removeprefix("ERROR: ")), 200) if lines else "no message"
