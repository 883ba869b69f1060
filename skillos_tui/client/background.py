"""What the log and the repository say beside an edit's diff: `client.ask_run("background", partial(read, edit=edit))`.

It is answered by `Answered` with a `Background`. Each part that cannot be read is left out, with a sentence in `troubles`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.core.edit import Edit, State
from engine.core.errors import SkillosError
from engine.core.events import TurnTaken
from engine.review.checking import open_repo
from engine.review.context import decisive, pinned, recent, retrieval, said, similar, vetoes_on
from engine.runs.directory import Run
from skillos_tui.model.background import Background

MAX_SIMILAR = 5

Found = TypeVar("Found")


def read(run: Run, edit: Edit, turns: Sequence[TurnTaken] = (), answer: str | None = None) -> Background:
    """The background of an edit, of whose trajectory these are the turns and the curator's answer. Blocks: it searches the
    repository twice for each recent task."""
    troubles: list[str] = []

    def part(what: str, find: Callable[[], list[Found]]) -> tuple[Found, ...]:
        try:
            return tuple(find())
        except (SkillosError, OSError) as error:
            troubles.append(f"{what}: {error}")
            return ()

    return Background(
        edit,
        part("similar skills", lambda: similar(open_repo(run), edit, MAX_SIMILAR)),
        part("tasks that would get it", lambda: retrieval(run, edit, run.config.executor.skills)),
        part("earlier vetoes", lambda: vetoes_on(run, edit)),
        tuple(turns[at] for at in decisive(turns, edit)),
        len(part("tasks that were played", lambda: recent(run))),
        tuple(troubles),
        bool(part("pins", lambda: pinned(run, edit))),
        said(answer) if answer is not None else None,
    )


def read_old(run: Run, states: Sequence[State], newest: int) -> list[Edit]:
    """The newest edits of these states in the log, those of each state oldest first; the workbench's view holds few."""
    return [edit for state in states for edit in run.edits(state, newest=newest)]
