"""What the commit of a decision says about it: a decision can be logged from its commit alone.

    token = new_token(run)
    written(run, edit, "approve", by="ann", token=token)       # the trailers of the commit; its body is the person's reason
    of_run(run, commit)                                        # whether this run, and none of its name, made the commit
    of_copy(run, commit)                                       # whether a copy of this run made it
    committed(edit, commit, changes)                           # the edit as the commit wrote it, None for another edit

The history keeps each trailer on one line of at most 1,000 characters, so a reason of the person is never one.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import PurePosixPath

from engine.core.edit import Action, Edit
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.skills.history.commits import Commit, FileChange, one_line


def new_token(run: Run) -> str:
    """A token for one decision. It begins with the origin of the run, which another run of the same name does not have, and
    the inode of its directory, which a copy of the run does not have."""
    return f"{_origin(run)}-{_folder(run)}-{uuid.uuid4().hex}"


def of_run(run: Run, commit: Commit) -> bool:
    """Whether a commit names the run and a decision of it. Tokens of earlier versions have no origin."""
    origin, dash, _ = commit.trailers.get("Decision", "").partition("-")
    return commit.trailers.get("Run") == one_line(run.id) and bool(origin) and (not dash or origin == _origin(run))


def of_copy(run: Run, commit: Commit) -> bool:
    """Whether another directory than this one made the commit of this run: a copy that shares its skill repository, or the
    run before it was moved to another disk. A repository inside the run is its own."""
    parts = commit.trailers.get("Decision", "").split("-")
    return len(parts) == 3 and parts[1] != _folder(run) and not run.repo_path.is_relative_to(run.path)


def is_early(commit: Commit) -> bool:
    """Whether an earlier version made the decision: its log has no tokens."""
    return "-" not in commit.trailers["Decision"]


def action_of(commit: Commit) -> Action:
    """What the decision of a commit was."""
    return "undo" if "Reverts" in commit.trailers else "approve"


def written(
    run: Run, edit: Edit, action: Action, by: str, token: str, *, proposed: str | None = None
) -> dict[str, str]:
    """The trailers of a decision's commit. `proposed` is the text in whose place a person wrote that of `edit`."""
    cause, at = edit.provenance, edit.provenance.position
    return {
        "Run": run.id,
        "Step": str(at.step) if at else "",
        "Trajectory": f"group {at.group} rollout {at.rollout} position {at.position}" if at else "",
        "Task": cause.task,
        "Outcome": str(cause.outcome),
        "Edit": edit.id,
        "Proposer": cause.proposer,
        "Reason": cause.reason,
        "Action": action,
        "Reviewer": by,
        "Amended": edit.amended_by,
        "Proposed": "" if proposed is None else _digest(proposed),
        "Decision": token,
    }


def reason_of(commit: Commit) -> str:
    """The reason that the person gave."""
    return commit.message.partition("\n")[2].strip()


def committed(edit: Edit, commit: Commit, changes: Sequence[FileChange]) -> Edit | None:
    """`edit` as an approving commit wrote it: as it is, or with a person's text. None where the commit is of another edit.

    An id does not identify an edit: a log that lost its newest events gives the id to another one.
    """
    deletes = commit.trailers.get("Operation") == "delete"
    if commit.trailers.get("Skill") != one_line(edit.name) or deletes != (edit.after is None):
        return None
    if edit.after is None or any(change.after == edit.after for change in changes):
        return edit
    if commit.trailers.get("Proposed") != _digest(edit.after):
        return None
    text = next((change.after for change in changes if _is_file_of(edit.name, change.path)), None)
    return None if text is None else edit.amended(text, commit.trailers.get("Amended", ""))


def _is_file_of(skill: str, path: str) -> bool:
    file = PurePosixPath(path)
    in_folder = file.parent.name == skill and file.name.lower() == "skill.md"
    return in_folder or file.name == f"{skill}.md"


def _origin(run: Run) -> str:
    return hashlib.sha256(f"{run.id}\n{run.created!r}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _folder(run: Run) -> str:
    """The inode of the run's directory in hexadecimal digits. Raises `RunError`."""
    try:
        return f"{run.path.stat().st_ino:x}"
    except OSError as error:
        raise RunError(f"cannot look at {run.path}: {error.strerror}; was the run deleted or moved?") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
