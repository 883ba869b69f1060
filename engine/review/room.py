"""Room in a full queue: which edits that wait are superseded by newer ones, inside the transaction that logs the newer.

The edit that a person has open (`engine.review.opened`) is never superseded.
"""

from __future__ import annotations

from collections.abc import Collection

from engine.core.edit import Decision, Edit
from engine.core.events import EditDecided
from engine.review.errors import NoPlace
from engine.review.opened import open_edits
from engine.runs.log import Transaction

QUEUE = "the queue's limit"
"""Who supersedes and withholds edits."""


def make_room(transaction: Transaction, max_pending: int, newer: str, spared: Collection[str] = ()) -> None:
    """Supersede the oldest edits that wait, except the `spared` ones and those that are open, to make room for `newer`.

    Raises `NoPlace` where there is no room and none can be made; nothing is superseded then.
    """
    waiting = _waiting(transaction)
    kept = open_edits(transaction.connection) | set(spared)
    excess = max(0, len(waiting) - max_pending + 1)
    oldest = [edit_id for edit_id in waiting if edit_id not in kept][:excess]
    if len(waiting) - len(oldest) >= max_pending:
        raise NoPlace(f"{max_pending} edits wait for review already")
    for edit_id in oldest:
        why = f"{newer} took its place, for at most {max_pending} wait; it can be asked again"
        transaction.append(EditDecided(edit_id, Decision("supersede", QUEUE, why)))


def fold(transaction: Transaction, newer: Edit) -> None:
    """Supersede the older versions of the same skill that wait and that nobody has open."""
    kept = open_edits(transaction.connection)
    for edit_id, skill in _waiting(transaction).items():
        if skill == newer.skill and edit_id not in kept:
            why = f"{newer.id} is a newer version of {newer.skill}; it can be asked again"
            transaction.append(EditDecided(edit_id, Decision("supersede", QUEUE, why)))


def _waiting(transaction: Transaction) -> dict[str, str]:
    """The skills of the edits that wait, by their ids, oldest first; "" where a row cannot be read."""
    skill = "CASE WHEN json_valid(CAST(data AS TEXT)) THEN json_extract(CAST(data AS TEXT), '$.skill') ELSE '' END"
    rows = transaction.connection.execute(f"SELECT edit, {skill} FROM edits WHERE state = 'pending' ORDER BY event")
    return dict(rows.fetchall())
