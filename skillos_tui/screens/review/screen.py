"""Review: one edit at a time. Its diff, its reason, the trajectory that led to it; approve, amend, veto, undo.

A key acts on the edit under the cursor, as it is shown, or the bottom line gives the reason why not. It does not act on an
edit that was not on the screen when the key was pressed, or that the program showed less than 0.7 s before
(`skillos_tui.model.keyguard`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

from engine.core.edit import PAST, Action, Edit
from engine.core.errors import SkillosError
from engine.core.text import counted
from engine.runs.directory import Run
from skillos_tui.client.messages import Answered, DecisionRefused, DecisionTaken, Reply
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.keyguard import PAUSE_SECONDS
from skillos_tui.model.rest import Rest, rest_of
from skillos_tui.model.session import REST, leftover_key, text_key
from skillos_tui.model.working import Checked, Working
from skillos_tui.render.text import safe
from skillos_tui.screens.review.keys import action_of, commit_of, no_use
from skillos_tui.screens.review.showing import Showing
from skillos_tui.terminal.editor import EditorError, edit_text, editor_command, lends_terminal

REASON_PAUSE_SECONDS = 1.5
"""The pause that ends a reason which was typed without a dialog; people stop to think between its words."""


class ReviewScreen(Showing):
    """The keys of Review."""

    KEYS_TITLE = "On the review screen"
    KEYS = (
        Key("a", "approve", "approve", "Approve and commit the edit; ask a conflicted or superseded one again", True),
        Key("e", "amend", "amend", "Write another text in your editor (VISUAL, EDITOR), for an approval", True),
        Key("E", "amend(True)", "amend here", "Write another text in a field of the workbench, for an approval"),
        Key("space", "hunk", "hunk", "Take or leave the hunk under the cursor; an approval writes what is taken", True),
        Key("v", "veto", "veto", "Veto the edit, with a reason that the curator will read", True),
        Key("A", "rest", "rest", "Decide on all that waits and fits the filter; shows first what it will do", True),
        Key(
            "u",
            "undo",
            "undo",
            "Undo the decision on this edit: revert its commit, or queue a vetoed one again; drop your changes",
            True,
        ),
        Key("U", "undo_rest", "undo all", "Undo the last decision on many edits as one", True),
        Key("n", "move(1)", "next", "The next edit", True),
        Key("p", "move(-1)", "previous", "The previous edit", True),
        Key("slash", "filter", "filter", "Show only edits of a name, text, operation or state: /superseded", True),
        Key("Y", "copy_skill", "copy skill", "Copy the text that an approval would write"),
        Key("J", "hunk_cursor(1)", "next hunk", "Go to the next hunk"),
        Key("K", "hunk_cursor(-1)", "previous hunk", "Go to the previous hunk"),
        Key("s", "layout", "side by side", "Show the diff side by side, or one below the other"),
        Key("P", "policy", "policy", "Choose who decides on edits that nobody has decided"),
        Key("left_square_bracket", "decision(-1)", "my decisions", "Go to the decision taken here before this one"),
        Key("right_square_bracket", "decision(1)", "next decision", "Go to the decision taken here after this one"),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape,l", "back", "live", "Back to the live screen", True),
    )
    BINDINGS = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self._place: int | None = None

    # Answers of the client

    def take(self, reply: Reply) -> None:
        super().take(reply)
        if isinstance(reply, DecisionRefused):
            self._show_edit(by_itself=True)
            edit = self.queue.known.get(reply.edit)
            opens = (
                f", {self.workbench.key_of('review.amend')} opens it" if self.queue.value == reply.edit else " there"
            )
            again = f"your text is kept{opens}: " if reply.action == "amend" else ""
            self.answer(f"{safe(edit.skill)}: {again}{reply.why}" if edit else reply.why, "bad")
        elif isinstance(reply, DecisionTaken):
            self._report(reply)
        elif isinstance(reply, Answered) and reply.question == "check":
            self._report_check(reply)

    def _report(self, taken: DecisionTaken) -> None:
        """Report the effect of a decision where the queue does not show it."""
        edit, skill = taken.after, safe(taken.after.skill)
        here = self.queue.value == taken.edit
        if edit.state == "conflicted":
            approve, back = self.workbench.key_of("review.approve"), self.workbench.key_of("review.my_decisions")
            key = f"Press {approve}" if here else f"{back} goes back to it, and {approve} asks"
            report = f"Nothing was written: {skill} has changed since. {key} for the new diff."
            self.notify(report, severity="warning", markup=False)
            self.answer(report)
        elif taken.action == "undo" and edit.state == "undone":
            what = f"Reverted commit {commit_of(taken.before)} of {skill}"
            self.answer(f"{what}. {self.workbench.key_of('review.approve')} asks for the edit again.", "accent")
        elif taken.action == "undo":
            key = self.workbench.key_of("review.veto")
            self.answer(f"The veto of {skill} is undone. {key} keeps its reason.", "accent")
        elif taken.action == "requeue":
            self.answer("Asked again against the present repository: read the diff, then decide.", "accent")
        elif taken.action == "amend":
            self.answer(f"Approved {skill} with your text, as commit {commit_of(edit)}.", "accent")

    def _report_check(self, reply: Answered) -> None:
        """Say what the gates found in the person's own text; the pane "Why" has all of it."""
        checked = reply.value
        if not isinstance(checked, Checked):
            self.answer(safe(reply.trouble), "bad")
            return
        self._checked = checked
        self._show_edit(by_itself=True)
        edit = self.queue.known.get(checked.edit)
        here = edit is not None and edit.id == self.queue.value
        of = f" of {safe(edit.skill)}" if edit is not None and not here else ""
        approve, amend, undo = (self.workbench.key_of(f"review.{name}") for name in ("approve", "amend", "undo"))
        if checked.found is None:
            keys = f"{amend} edits your text again, {undo} drops it: " if here else f"Your text{of} is kept: "
            self.answer(f"{keys}{safe(checked.refusal)}", "bad")
        else:
            found = counted(len(checked.found.findings), "finding") if checked.found.findings else "nothing"
            keys = f" {approve} approves it, {amend} edits it again." if here else ""
            self.answer(f"The gates admit your text{of} and found {found}.{keys}", "accent")

    @property
    def _approve_or_veto(self) -> str:
        """The keys that decide on an edit that waits."""
        return (
            f"{self.workbench.key_of('review.approve')} approves it, {self.workbench.key_of('review.veto')} vetoes it"
        )

    @property
    def _nothing_taken(self) -> str:
        """Why nothing would change, and what to do."""
        hunk, veto = self.workbench.key_of("review.hunk"), self.workbench.key_of("review.veto")
        return f"No hunk is taken, so nothing would change: {hunk} takes one, {veto} vetoes the edit."

    # Keys that decide

    def action_approve(self) -> None:
        """Approve what is taken of an edit that waits; any other one is queued again first, with its new diff."""
        edit = self._to_act("a")
        if edit is None or (action := action_of("a", edit)) is None:
            return
        text = self._wanted_text(edit)
        if text == edit.after:
            self._decide(edit, action)
        elif text is None or text == edit.before:
            self.refuse(self._nothing_taken)
        else:
            self._decide(edit, "amend", text=text)

    def _wanted_text(self, edit: Edit) -> str | None:
        """What an approval writes: the proposed text, or what the person wants of it."""
        working = self.working(edit)
        return working.text(edit) if working.touched else edit.after

    async def action_veto(self) -> None:
        from skillos_tui.screens.reason.screen import ReasonScreen, offered

        edit, run = self._to_act("v", REASON_PAUSE_SECONDS), self.workbench.path
        if edit is not None and run is not None:
            vetoes = self._background.vetoes if self._background is not None else ()
            dialog = ReasonScreen(run, [edit], self._draft(edit.id), offered([edit], vetoes))
            await self.app.push_screen(dialog, partial(self._veto, edit))

    def _veto(self, bound: Edit, reason: str | None) -> None:
        """Send the veto, if the edit has not changed since the dialog opened."""
        edit = self.queue.known.get(bound.id)
        if reason is not None and edit == bound:
            self._decide(bound, "veto", reason)
        elif reason is not None:
            state = edit.state if edit is not None else "superseded"
            self.refuse(f"{safe(bound.skill)} is {state} already: nothing was sent; your text is kept.")

    def action_undo(self) -> None:
        """Undo the decision on the edit under the cursor, or drop what the person changed in one that waits."""
        edit = self.queue.current
        if edit is not None and self.working(edit).touched:
            if self._may_act():
                self.want(edit, Working())
                self.answer(f"The edit of {safe(edit.skill)} is as it was proposed again.", "accent")
            return
        edit = self._to_act("u")
        if edit is not None:
            what = "Undoing the veto" if edit.state == "vetoed" else f"Reverting commit {commit_of(edit)}"
            if self._decide(edit, "undo"):
                self.answer(f"{what} of {safe(edit.skill)} …", "accent")

    # Keys that change what an approval writes

    def action_hunk(self) -> None:
        edit = self.queue.current
        if edit is None or not self._may_act():
            return
        if edit.state != "pending":
            self.refuse(f"This edit is {edit.state}; hunks are taken or left while it is pending.")
        elif self.diff.hunks < 2:
            self.refuse(f"This edit has one hunk: {self._approve_or_veto}.")
        else:
            self.want(edit, self.working(edit).toggled(self.diff.hunk))

    def action_hunk_cursor(self, by: int) -> None:
        self.diff.move_hunk(by)

    async def action_amend(self, here: bool = False) -> None:
        """Let the person write another text: in the editor, or in a field where there is none."""
        edit = self._to_act("e", REASON_PAUSE_SECONDS)
        if edit is None:
            return
        if edit.after is None:
            self.refuse(f"This edit removes a skill, so there is no text to amend: {self._approve_or_veto}.")
            return
        text = self.working(edit).text(edit)
        try:
            command = [] if here else editor_command()
            if command and lends_terminal(self.workbench):
                changed = await edit_text(self.workbench, command, edit.name, text or "")
                self._amended(edit, text, changed)
                return
        except EditorError as error:
            self._refuse_editor(edit, error)
            return
        await self._amend_here(edit, text or "")

    def _refuse_editor(self, edit: Edit, error: EditorError) -> None:
        """Say why the editor could not be used; where the terminal was cut, keep what it wrote for the next start."""
        if self.workbench.signal and self.workbench.path is not None:
            keep = partial(self.workbench.session.keep_draft, self.workbench.path)
            keep(leftover_key(edit.id), str(error.leftover or ""))
            if error.text is not None and error.text != edit.after:
                keep(text_key(edit.id), error.text)
            return
        said = safe(str(error))
        self.notify(said, severity="warning", markup=False)  # the bottom line may have no room for the file
        self.refuse(f"{said}; {self.workbench.key_of('review.amend_here')} opens the text here.")

    async def _amend_here(self, edit: Edit, text: str) -> None:
        from skillos_tui.screens.amending.screen import AmendScreen

        if self.workbench.path is not None:
            dialog = AmendScreen(self.workbench.path, edit, text, text_key(edit.id))
            if not dialog.field.stand_ins.exact:
                self.refuse(
                    "The text has more kinds of hidden characters than a field can show; an editor (EDITOR) can."
                )
                return
            await self.app.push_screen(dialog, partial(self._take_amended, edit, text))

    def _take_amended(self, edit: Edit, before: str, changed: str | None) -> None:
        self._amended(edit, before, changed or "")

    def _amended(self, edit: Edit, before: str | None, text: str) -> None:
        """Show the person's own text as a diff, and let the gates check it."""
        if text == (before or ""):
            self.answer("Your text is the same as before; nothing was changed.")
            return
        own = None if text == edit.after else text
        self.want(edit, Working(own=own))
        present = self.queue.known.get(edit.id)
        if present is None or present.change != edit.change or present.state != "pending":
            self.answer(f"{safe(edit.skill)} was decided or changed meanwhile: nothing was sent.")
        elif own is None:
            self.answer("Your text is the one that was proposed.")
        elif not self.workbench.lost:
            self.answer("The gates check your text …", "accent")
            self.workbench.client.ask_run("check", partial(_check, edit=edit, text=text))

    # Many edits

    async def action_rest(self) -> None:
        """Show what a decision on all edits of the filter would do."""
        from skillos_tui.screens.rest.screen import RestScreen

        if not self._may_act(seen=False):
            return
        rest = rest_of(self.queue.groups, self.decisions.under_way)
        if not rest.all:
            self.refuse("Nothing waits that fits the filter.")
            return
        texts = {edit.id: text for edit in rest.newest if (text := self._wanted_text(edit)) != edit.after}
        dialog = RestScreen(rest, self.queue.filter.text, len(texts))
        await self.app.push_screen(dialog, partial(self._act_on_rest, rest, texts))

    async def _act_on_rest(
        self, rest: Rest, texts: Mapping[str, str | None], action: Literal["approve", "veto"] | None
    ) -> None:
        """Take a decision on the rest; `texts` are those that the person wants in place of the proposed ones."""
        from skillos_tui.screens.reason.screen import ReasonScreen, offered

        if action == "approve":
            self._decide_all(rest.newest, "approve", texts=texts)
        elif action == "veto" and (run := self.workbench.path) is not None:
            dialog = ReasonScreen(run, rest.all, self._draft(REST), offered(rest.all), REST)
            await self.app.push_screen(dialog, partial(self._veto_rest, rest))

    def _veto_rest(self, rest: Rest, reason: str | None) -> None:
        if reason is not None:
            self._decide_all(rest.all, "veto", reason)

    def _decide_all(
        self,
        edits: tuple[Edit, ...],
        action: Action,
        reason: str = "",
        *,
        texts: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Send the same decision on many edits; each is refused by itself where its edit has changed. Those of which the
        person wants nothing wait on."""
        left = [edit for edit in edits if edit.id in texts and texts[edit.id] in (None, edit.before)]
        client, sent = self.workbench.client, list[str]()
        for edit in edits:
            text = texts.get(edit.id)
            if edit not in left and client.decide(edit, "amend" if text is not None else action, reason, text or ""):
                sent.append(edit.id)
        if not sent:
            self.refuse(self._nothing_taken if left else "The run is not open yet; nothing was decided.")
            return
        self.decisions.rest = tuple(sent)
        self._go_on(sent[-1])
        waits = f"; of {counted(len(left), 'edit')} nothing is taken, so nothing was sent" if left else ""
        undo = self.workbench.key_of("review.undo_rest")
        self.answer(
            f"{counted(len(sent), 'edit')} are being {PAST[action]}; {undo} undoes them as one{waits}.", "accent"
        )

    def action_undo_rest(self) -> None:
        """Undo the last decision on many edits: each waits again as before."""
        decisions = self.decisions
        if not self._may_act(seen=False):
            return
        if not decisions.rest:
            self.refuse(
                f"There is no decision on many edits to undo; {self.workbench.key_of('review.rest')} takes one."
            )
        elif any(name in decisions.under_way for name in decisions.rest):
            self.refuse("These decisions are being taken; wait a moment.")
        else:
            found = [edit for name in decisions.rest if (edit := self.queue.known.get(name)) is not None]
            undone = [
                edit for edit in reversed(found) if edit.decision is not None and action_of("u", edit) is not None
            ]
            decisions.rest = ()
            for edit in undone:
                self.workbench.client.undo_whole(edit)
            self._show_edit()
            left = len(found) - len(undone)
            also = f"; {left} had changed since" if left else ""
            self.answer(f"Undoing {counted(len(undone), 'decision')} …{also}", "accent")

    # Other keys

    def action_move(self, by: int) -> None:
        self.queue.move(by)
        self._show_edit()

    async def action_filter(self) -> None:
        from skillos_tui.screens.filtering.screen import FilterScreen

        await self.app.push_screen(FilterScreen(self.queue.filter.text), self._filter)

    def _filter(self, text: str | None) -> None:
        if text is not None:
            self.look_for(text)

    def action_layout(self) -> None:
        """Show the diff in the other layout."""
        self.diff.force("rows" if self.diff.layout_shown == "pairs" else "pairs")
        self.answer("Side by side." if self.diff.layout_shown == "pairs" else "One below the other.", "accent")

    def action_copy(self) -> None:
        """Copy what is selected; else the diff, or the text of another pane that has the focus."""
        pane = self.current_pane
        if pane is self.queue:
            self.workbench.copy(self.get_selected_text() or self.diff.copied())
        else:
            super().action_copy()

    def action_copy_skill(self) -> None:
        """Copy the text that an approval would write."""
        edit = self.queue.current
        text = self.working(edit).text(edit) if edit is not None else None
        if text is None:
            self.refuse(
                "There is no edit to copy." if edit is None else "This edit removes a skill; it writes no text."
            )
        else:
            self.workbench.copy(text)

    async def action_policy(self) -> None:
        from skillos_tui.screens.policy.screen import PolicyScreen

        if self._may_act(seen=False):
            await self.app.push_screen(PolicyScreen(self.workbench.view.settings), self._set_policy)

    def _set_policy(self, name: str | None) -> None:
        if name is not None:
            self.workbench.client.change("review.policy", name)

    def action_decision(self, by: int) -> None:
        """Go to the decision before or after the one that was gone to last."""
        taken = self.decisions.taken
        if not taken:
            self.answer("No decision has been taken here yet.")
            return
        start = len(taken) if self._place is None else self._place
        self._place = max(0, min(len(taken) - 1, start + by))
        gone = taken[self._place]
        edit = self.queue.known.get(gone.edit)
        now = f"it is {edit.state} now" if edit is not None else "newer edits superseded it"
        if edit is not None:
            self.queue.select(gone.edit)
            self._show_edit()
        what = f"{PAST[gone.action]} {safe(gone.skill)}"
        self.answer(f"Decision {self._place + 1} of {len(taken)} taken here: {what}; {now}.", "accent")

    # Whether a key may act

    def _to_act(self, key: str, pause: float = PAUSE_SECONDS) -> Edit | None:
        """The edit that a key acts on; None if it may not act, after showing the reason."""
        self._show_edit()  # a move of the cursor may not have been shown yet
        edit = self.queue.current
        why = self._why_closed() or self._why_not(key, edit)
        if why:
            self.refuse(why, pause)
        return edit if not why else None

    def _may_act(self, *, seen: bool = True) -> bool:
        """Whether a key may act that decides nothing by itself; shows the reason if not. With `seen`, only on an edit that
        was on the screen when the key was pressed."""
        self._show_edit()
        why = self._why_closed() or (self._reading.refusal(self.pressed) if seen else "")
        if why:
            self.refuse(why)
        return not why

    def _why_closed(self) -> str:
        if self.workbench.lost:
            return "The run cannot be read any more; nothing can be decided."
        if self.workbench.refusal:
            return safe(self.workbench.refusal)
        return "" if self.workbench.caught_up else "The run is still being read; wait a moment."

    def _why_not(self, key: str, edit: Edit | None) -> str:
        if edit is None:
            return "There is no edit to decide on."
        under_way = self.decisions.word(edit.id)
        if under_way:
            return f"This edit is {under_way}; wait a moment."
        if action_of(key, edit) is None:
            return no_use(key, edit, self.workbench.key_of)
        return self._reading.refusal(self.pressed)

    def _decide(self, edit: Edit, action: Action, reason: str = "", text: str = "") -> bool:
        """Send a decision; after one on an edit that waits, move to the next that waits. False when no run is open."""
        if not self.workbench.client.decide(edit, action, reason, text):
            self.refuse("The run is not open yet; nothing was decided.")
            return False
        if action in ("approve", "amend", "veto"):
            self._go_on(edit.id)
        else:
            self._place = None
            self._show_edit()
        return True

    def _go_on(self, edit: str) -> None:
        """Move to the next edit that waits after one was decided on."""
        self._place = None
        self.queue.show(self.workbench.view, self.decisions.under_way)
        following = self.queue.next_waiting(edit)
        self._idle = following is None
        if following is not None:
            self.queue.select(following)
        self._show_edit()


def _check(run: Run, edit: Edit, text: str) -> Checked:
    from skillos_tui.client.decide import check

    try:
        return Checked(edit.id, text, check(run, edit, text))
    except (SkillosError, OSError) as error:
        return Checked(edit.id, text, refusal=str(error))
