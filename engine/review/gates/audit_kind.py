"""The audit gate as a configuration names it; `engine.review.gates.audit` is the gate. Cheap to import."""

from __future__ import annotations

from typing import Any

from engine.review.gates.registry import GateKind
from engine.review.settings import AuditSettings


def _open(context: Any) -> Any:
    from engine.review.gates.audit import AuditGate

    return AuditGate(context)


KIND = GateKind(name="audit", settings=AuditSettings, open=_open, measures=False)
