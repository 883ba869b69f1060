"""What a person wants of an edit before it is approved: hunks that are left out, or a text of their own.

wanted = Working(left=frozenset({1}))
wanted.base(edit)                       # what is compared with the text before: the proposed text, or the person's own
wanted.text(edit)                       # what an approval writes
wanted.touched                          # whether it differs from what was proposed
"""

from __future__ import annotations

import msgspec

from engine.core.edit import Edit
from engine.review.hunks import hunks, taking


class Working(msgspec.Struct, frozen=True):
    """`left` are numbers of hunks, from 0, of the text before against `own`, or against the proposed text where `own` is
    None."""

    left: frozenset[int] = frozenset()
    own: str | None = None

    @property
    def touched(self) -> bool:
        """Whether an approval would write something else than what was proposed."""
        return bool(self.left) or self.own is not None

    def base(self, edit: Edit) -> str | None:
        """The text whose hunks are taken or left."""
        return edit.after if self.own is None else self.own

    def text(self, edit: Edit) -> str | None:
        """The text with only the hunks that are taken. None for a skill that is removed, or where no hunk is taken of a new
        one."""
        base = self.base(edit)
        if not self.left:
            return base
        return taking(edit.before, base, set(range(len(hunks(edit.before, base)))) - self.left)

    def toggled(self, hunk: int) -> Working:
        """With this hunk taken where it was left, and left where it was taken."""
        return msgspec.structs.replace(self, left=self.left ^ {hunk})
