"""The choice of no model of its own: `[judge_model] kind = "same"`, the default, takes the model of [model]."""

from __future__ import annotations

from engine.models.registry import ModelBackend
from engine.models.settings import ModelSettings


class SameModelSettings(ModelSettings, frozen=True, tag="same"):
    """The model of [model]. A role may have a model of its own: give the section another kind of [model], with its settings
    there (`skillos-engine config model`)."""


KIND = ModelBackend(name="same", settings=SameModelSettings, opens="")
