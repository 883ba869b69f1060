"""Every key of the workbench, as data: the bindings, the key line, the `?` screen and the palette are made from it.

A room is a screen, "app" (works everywhere), "pane" (whatever pane has the focus) or "tree" (the tree of skills).
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding, BindingType


class Key(NamedTuple):
    """One key. `keys` are Textual's names, comma separated; `label` is what it does, in a word or two; with `line`, the
    key line at the bottom shows it, earlier keys first."""

    keys: str
    action: str
    label: str
    help: str
    line: bool = False

    @property
    def shown(self) -> str:
        """The keys as a person would say them."""
        return " ".join(_SAID.get(key, key) for key in self.keys.split(","))

    @property
    def first(self) -> str:
        """The first of its keys, as the key line shows it."""
        return self.shown.split(" ")[0]


_SAID = {
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "⇧tab",
    "up": "↑",
    "down": "↓",
}

KEYMAP: dict[str, tuple[Key, ...]] = {
    "home": (
        Key("enter", "choose", "open", "Open the run under the cursor, or do what the line says", True),
        Key("t", "train", "train", "Start training the pocket model at once", True),
        Key("c", "curate", "curate", "Start a live curation, in which you decide on each edit", True),
        Key("r", "reload", "reload", "Look for runs again"),
    ),
    "live": (
        Key("r", "review", "review", "Decide on the edits that wait", True),
        Key("tab", "next_pane", "next pane", "Go to the next pane", True),
        Key("p", "pause", "pause/resume", "Pause the run, or let it go on; starts an engine that is gone", True),
        Key("s", "stop", "stop", "Stop the run; asks first, and the run can be resumed later", True),
        Key("shift+tab", "previous_pane", "previous pane", "Go to the pane before"),
        Key("right_square_bracket", "follow(1)", "next rollout", "Follow the next rollout", True),
        Key("left_square_bracket", "follow(-1)", "previous rollout", "Follow the rollout before"),
        Key("x", "clear_notice", "dismiss", "Take the notice line away"),
        Key("escape,h", "home", "runs", "Back to the list of runs; the engine goes on", True),
    ),
    "review": (
        Key("a", "approve", "approve", "Approve and commit the edit; ask a conflicted or superseded one again", True),
        Key("v", "veto", "veto", "Veto the edit, with a reason that the curator will read", True),
        Key(
            "u",
            "undo",
            "undo",
            "Undo the decision on this edit: revert its commit, or let a vetoed one wait again",
            True,
        ),
        Key("n", "move(1)", "next", "The next edit", True),
        Key("p", "move(-1)", "previous", "The edit before", True),
        Key("left_square_bracket", "decision(-1)", "my decisions", "Go to the decision taken here before this one"),
        Key("right_square_bracket", "decision(1)", "next decision", "Go to the decision taken here after this one"),
        Key("tab", "next_pane", "next pane", "Go to the next pane", True),
        Key("shift+tab", "previous_pane", "previous pane", "Go to the pane before"),
        Key("escape,l", "back", "live", "Back to the live screen", True),
    ),
    "pane": (
        Key("up,k", "scroll_rows(-1)", "up", "One line up"),
        Key("down,j", "scroll_rows(1)", "down", "One line down"),
        Key("pageup,ctrl+u", "scroll_pages(-1)", "page up", "One page up"),
        Key("pagedown,ctrl+d", "scroll_pages(1)", "page down", "One page down"),
        Key("home,g", "to_top", "top", "To the first line"),
        Key("end,G", "to_end", "end", "To the last line, and follow what comes"),
    ),
    "tree": (
        Key("enter", "fold", "fold", "Fold or unfold the branch"),
        Key("0", "newest", "newest edit", "Show the newest edit again"),
    ),
    "app": (
        Key("question_mark", "keys", "keys", "Show all keys", True),
        Key("ctrl+p", "command_palette", "palette", "Find any action by name"),
        Key("D", "switch_theme", "dark/light", "Switch between the dark and the light theme"),
        Key("ctrl+l", "redraw", "redraw", "Draw the whole screen again"),
        Key("ctrl+z", "suspend_process", "suspend", "Stop the workbench; `fg` in the shell brings it back"),
        Key("q", "leave", "quit", "Leave the workbench; the engine goes on", True),
    ),
}


def bindings(room: str) -> list[BindingType]:
    """The room's keys as Textual bindings (the key line shows them, not Textual's footer).

    Keys of the app are left to the focused text field first. All others have priority, which lets the app run them itself,
    one after the other: a key that opens a dialog has done so before the next key is looked at.
    """
    return [Binding(key.keys, key.action, key.label, show=False, priority=room != "app") for key in KEYMAP[room]]
