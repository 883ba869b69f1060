"""The base of every model backend's settings; each backend declares its own beside its code.

in_section("model.python=/x is no file", "executor_model", settings)     # executor_model.python=/x is no file
"""

from __future__ import annotations

import re

from engine.core.parts import Settings


class ModelSettings(Settings, frozen=True, tag_field="kind"):
    """Which models answer, and where they run."""


def in_section(message: str, section: str, settings: ModelSettings) -> str:
    """`message`, in which each setting of [model] is named as one of `section`.

    A backend does not know whether its settings are those of [model] or of a role that has a model of its own, so its
    messages name [model].
    """
    names = "|".join(("kind", *settings.__struct_fields__))
    return re.sub(rf"(?<![\w./-])model\.({names})\b", rf"{section}.\1", message)
