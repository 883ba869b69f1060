"""What people said of edits: their decisions that are in force, by the log, as numbers for the reward (`rewards.lambda_h`).

    words = Words()
    for stored in run.stream(kinds=KINDS):
        words.take(stored)
    said = words.said()                        # at this place of the log
    said.on("find-kettle", text)               # 1.0 approved, 0.5 amended, -1.0 vetoed; None: nobody said anything

Of decisions on a skill of equal name and text the newest counts, else the newest on the same skill. A text that is written
and a skill that is deleted are compared only with their like: the veto of a deletion says nothing against a text. What was
undone does not count, nor what a policy approved by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

import msgspec

from engine.core.edit import Edit
from engine.core.events import EditDecided, EditProposed
from engine.review.policies import is_policy
from engine.runs.log import Stored

APPROVED, AMENDED, VETOED = 1.0, 0.5, -1.0
"""What a decision is worth. The scale has its middle at 0, so that an edit that nobody decided on, for which the term is
left out, is worth less than an approved one and more than a vetoed one."""
KINDS = ("edit_proposed", "edit_decided")
"""The events that words are made of."""

Content = tuple[str, str | None]
"""A skill's name and its file text after an edit; None where the edit deletes it."""
Subject = tuple[str, bool]
"""A skill's name, and whether it is written or deleted."""


class Word(msgspec.Struct, frozen=True):
    """One decision in force. `proposed` is the text that was put to review where a person amended it, else None."""

    content: Content
    value: float
    proposed: str | None = None


class Said(msgspec.Struct, frozen=True):
    """The words at one place of a log, by content and by skill."""

    contents: Mapping[Content, float] = {}
    skills: Mapping[Subject, float] = {}

    def on(self, name: str, text: str | None) -> float | None:
        """The word on writing `text` as the skill `name`, or on deleting it (None); None where there is none."""
        return self.contents.get((name, text), self.skills.get((name, text is None)))

    def mean(self, contents: Iterable[Content]) -> float | None:
        """r_human of a rollout that leaves these changes: the mean over those that have a word; None without any."""
        found = [value for content in contents if (value := self.on(*content)) is not None]
        return fmean(found) if found else None


class Words:
    """The decisions in force, taken from a log in its order."""

    def __init__(self) -> None:
        self._queued: dict[str, Edit] = {}
        self._words: dict[str, Word] = {}

    def take(self, stored: Stored) -> None:
        """Take one event; those of other kinds than `KINDS` change nothing."""
        match stored.event:
            case EditProposed(edit=edit):
                self._queued[edit.id] = edit
                self._words.pop(edit.id, None)
            case EditDecided(edit=name, decision=decision) if name in self._queued:
                self._words.pop(name, None)  # so that the newest decision is the last
                person = not is_policy(decision.by)
                if person and decision.action in ("approve", "veto"):
                    self._words[name] = _word(self._queued[name], approved=decision.action == "approve")
                elif decision.action == "supersede":
                    del self._queued[name]  # it is queued again with its text

    def said(self) -> Said:
        """The words so far; later events do not change it."""
        contents: dict[Content, float] = {}
        skills: dict[Subject, float] = {}
        for word in self._words.values():
            name, text = word.content
            skills[name, text is None] = word.value
            if word.proposed is not None:
                contents[name, word.proposed] = word.value
            contents[word.content] = APPROVED if word.value == AMENDED else word.value
        return Said(contents, skills)


def _word(edit: Edit, *, approved: bool) -> Word:
    """The word of a decision: an amended edit has the person's own text, and the text that it replaced."""
    content = edit.name, edit.after
    if not approved:
        return Word(content, VETOED)
    return Word(content, AMENDED, edit.original) if edit.amended_by else Word(content, APPROVED)
