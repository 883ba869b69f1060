"""The name of the section that a backend's settings are from, for messages.

    in_section("model.python=/x is no file", "executor_model", settings)     # executor_model.python=/x is no file

A backend does not know whether its settings are those of [model] or of a role that has a model of its own, so its messages
name [model].
"""

from __future__ import annotations

import re

from engine.models.settings import ModelSettings


def in_section(message: str, section: str, settings: ModelSettings) -> str:
    """`message`, in which each setting of [model] is named as one of `section`."""
    names = "|".join(("kind", *settings.__struct_fields__))
    return re.sub(rf"(?<![\w./-])model\.({names})\b", rf"{section}.\1", message)
