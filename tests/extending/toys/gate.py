"""A toy gate: it refuses long skills, and attaches a finding and a score to the others."""

from engine.core.findings import Finding
from engine.core.parts import Settings
from engine.review.gates.base import Verdict
from engine.review.gates.registry import GateKind

LIMIT = 80


class Modest:
    """Skills of at most `LIMIT` characters."""

    async def admit(self, edit, repo):
        size = len(edit.after or "")
        if size > LIMIT:
            return Verdict(False, f"the skill has {size} characters, {LIMIT} are allowed")
        return Verdict(True, findings=(Finding("modest", "info", 1, f"{size} characters"),), score=1 - size / LIMIT)


KIND = GateKind(name="modest", settings=Settings, open=lambda context: Modest())
