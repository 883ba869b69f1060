"""Whether the repository of a run may hold a decision that its log lacks. Needs no git, which takes half a second to load.

if may_lack(run):
    from engine.review.journal import reconcile
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.core.events import EditDecided
from engine.runs.directory import Run

PLACES = (".skillos/history", ".git")
"""Where the history of a folder can be (`engine.skills.history.place`)."""
DECISIONS = 20
"""The newest decisions of the log among which the newest commit is looked for."""
MAX_BYTES = 1_000
_ID = re.compile(r"[0-9a-f]{40}")


def may_lack(run: Run) -> bool:
    """False where the run has no edits, its repository no history, or the newest commit is one of the log or was compared
    with it."""
    if not run.edits(newest=1):
        return False
    head = _head(run.repo_path)
    if not head:
        return False
    compared = [found for (found,) in run.db.all("SELECT head FROM reconciled")]
    newest = [stored.event for stored in run.tail(DECISIONS, ["edit_decided"])]
    return head not in [*compared, *(event.decision.commit for event in newest if isinstance(event, EditDecided))]


def _head(root: Path) -> str:
    """The id of the newest commit, as git's files have it; "" where there is no history, "?" where that takes more than
    reading two files."""
    here = [place for place in PLACES if (root / place / "HEAD").exists()]
    for place in here:
        try:
            head = _line(root / place / "HEAD")
            found = _line(root / place / head[5:]) if head.startswith("ref: refs/heads/") and ".." not in head else head
        except OSError:
            continue
        return found if _ID.fullmatch(found) else "?"
    return "?" if here else ""


def _line(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_BYTES).decode("utf-8", "replace").strip()
