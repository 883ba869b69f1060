"""The audit gate: an edit must hold nothing hidden, secret, dangerous or copied, as `[audit]` says."""

from __future__ import annotations

from engine.review.gates.registry import GateKind
from engine.review.settings import AuditSettings

KIND = GateKind(name="audit", settings=AuditSettings)
