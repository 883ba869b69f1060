"""The prompts and chat templates that a run used, as its log has them.

newest = last_used(run)                  # the `PromptsUsed` in force; None where the log has none
differing(before, after)                 # ["curator/user.md", "template/curator"]
sentence(before, after)                  # for a notice; "" where they are equal
texts(newest)                            # {"curator/user.md": "…", "template/curator": "…"}
"""

from __future__ import annotations

from engine.core.events import PromptsUsed
from engine.runs.directory import Run

TEMPLATE = "template/"


def last_used(run: Run) -> PromptsUsed | None:
    """What the newest start with prompts of its own logged; later starts had the same."""
    for stored in run.tail(1, ["prompts_used"]):
        if isinstance(stored.event, PromptsUsed):
            return stored.event
    return None


def texts(used: PromptsUsed) -> dict[str, str]:
    """Every text by its name; that of a chat template which only a server knows is ""."""
    return {**used.prompts, **{f"{TEMPLATE}{role}": text for role, text in used.templates.items()}}


def differing(before: PromptsUsed, after: PromptsUsed) -> list[str]:
    """The names of the texts that are not the same, or on one side only."""
    old, new = texts(before), texts(after)
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def sentence(before: PromptsUsed, after: PromptsUsed) -> str:
    """Which prompts are no longer those of the start before; "" where all are."""
    names = differing(before, after)
    return f"the prompts are no longer those of the last start: {', '.join(names)}" if names else ""
