"""The judges that `judge.kind` can name: `JUDGES.load("rubric").settings`. Cheap to import."""

from __future__ import annotations

from engine.core.parts import PartKind
from engine.core.registry import Registry


class JudgeKind(PartKind, frozen=True):
    """A judge of content."""


DEFAULT = "rubric"
JUDGES = Registry[JudgeKind]("judge", "skillos.judges", {"rubric": "engine.agents.judges.rubric_kind:KIND"})
