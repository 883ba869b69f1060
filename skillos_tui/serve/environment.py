"""The environment of a workbench behind a page: variables that it needs by name, so that no key or token is among them.

Engines that are started from a page have the same environment. They read keys of model servers from the keyring.
"""

from __future__ import annotations

from collections.abc import Mapping

from skillos_tui.terminal.check import WEB_DRIVER

KEPT = frozenset(
    (
        "HOME USER LOGNAME SHELL PATH TMPDIR TZ LANG LANGUAGE NO_COLOR PYTHONPATH VIRTUAL_ENV LD_LIBRARY_PATH "
        "XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR XDG_CONFIG_DIRS XDG_DATA_DIRS "
        "DBUS_SESSION_BUS_ADDRESS SSL_CERT_FILE SSL_CERT_DIR CUDA_VISIBLE_DEVICES CUDA_HOME OMP_NUM_THREADS HF_HOME "
        "HF_HUB_CACHE HF_HUB_OFFLINE"
    ).split()
)
"""The bus is where the keyring is; the last rows are where an engine finds its GPU and models."""


def page_environment(own: Mapping[str, str], width: int, height: int) -> dict[str, str]:
    """What a workbench behind a page of `width` columns and `height` rows gets of the variables `own`, and what Textual's
    web driver reads."""
    kept = {name: value for name, value in own.items() if name in KEPT or name.startswith("LC_")}
    return {
        **kept,
        "TERM": "xterm-256color",
        "COLUMNS": str(width),
        "ROWS": str(height),
        "TEXTUAL_DRIVER": WEB_DRIVER,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
    }
