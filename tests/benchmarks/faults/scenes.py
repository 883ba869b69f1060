"""What the faults are injected into: a command, the folder it works in, and what that folder may look like afterwards.

    for scene in scenes(folder):                       # approve, veto, undo, amend, restore, import, export
        copy = scene.copy(other_folder)
        ended = commands.run(scene.arguments, copy)
        scene.judge(copy, ended)                       # "", or how what was reported differs from what is true

A command is either done or not done, in the log, in the folder and in the history alike, and its exit code and message say
which. That must still be so after a further decision.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError
from engine.review import decisions as reviews
from engine.review.journal import reconcile
from engine.runs.directory import Run
from engine.skills import Insert
from engine.skills.history.history import History
from tests.benchmarks.faults.commands import Ended
from tests.review.proposing import proposed, text
from tests.runs.samples import CONFIG

Files = dict[str, bytes]

DONE_ALL_THE_SAME = ("is committed as", "is undone by the commit", "is written, but")
"""What a message says where the command failed after its commit."""
NOT_KNOWN = "whether it was committed cannot be read"
NO_OUTPUT = "the output cannot be written"
LEFT_OUT = ("skipped  ", "left out  ")
"""What names a skill that could not be read and was left out by an import or an export."""


class Scene(msgspec.Struct, frozen=True):
    """A command on a folder. `root` is the part of the folder that the command changes from `before` to `after`.

    `edit` is the edit that a decision takes from the state `states[0]` to `states[1]`; "" for a command without a run.
    """

    name: str
    folder: Path
    arguments: list[str]
    root: str
    before: Files
    after: Files
    edit: str = ""
    states: tuple[str, str] = ("", "")

    def copy(self, target: Path) -> Path:
        """A copy of the scene's folder at `target`."""
        shutil.copytree(self.folder, target, symlinks=True)
        return target

    def judge(self, folder: Path, ended: Ended) -> str:
        """What is wrong after the command ended: "" where what it reported is true, also after a further decision."""
        if "Traceback" in ended.said:
            return f"a traceback: {ended.said.strip().splitlines()[-1]}"
        try:
            done = self._done(folder, ended.said)
            if isinstance(done, str):
                return done
            if wrong := _contradicts(ended, done):
                return wrong
            self._go_on(folder)
            again = self._done(folder, ended.said)
        except (SkillosError, OSError) as error:
            return f"the folder cannot be used afterwards: {error}"
        if again is not done:
            return again if isinstance(again, str) else f"the next decision changed it from done={done} to done={again}"
        return _left_over(folder, ended)

    def _done(self, folder: Path, said: str) -> bool | str:
        """Whether the command is done; what is halved where it is neither done nor not done.

        An import or an export is done where what it lacks is named.
        """
        state = ""
        if self.edit:
            with Run.open(folder / "run") as run:
                reconcile(run)
                History.open(run.repo_path)
                state = run.edit(self.edit).state
        elif (folder / self.root / ".git").exists():
            History.open(folder / self.root)
        files = files_of(folder / self.root)
        for done, want in ((False, self.before), (True, self.after)):
            seen = {path: data for path, data in files.items() if path not in FURTHER}
            if seen == want and state == self.states[done]:
                recorded = History.open(folder / self.root).record() if (folder / self.root / ".git").exists() else None
                return done if recorded is None else "the folder is not what the newest commit holds"
        if _names_left_out(said) and not self.edit and self.before.items() <= files.items() <= self.after.items():
            return True
        names = {path: len(data) for path, data in files.items()}
        return f"halved: the log says {state or 'nothing'}, the folder holds {names}"

    def _go_on(self, folder: Path) -> None:
        """A further decision, which must not carry out what failed."""
        if self.edit:
            with Run.open(folder / "run") as run:
                reviews.approve(run, "e4", "bob")
                reviews.veto(run, "e2", "bob", "no")
        elif (folder / self.root / ".git").exists():
            History.open(folder / self.root).put({"four": FOUR}, message="Go on", trailers={})


def _contradicts(ended: Ended, done: bool) -> str:
    """How the exit code and the message differ from what is true."""
    if ended.code < 0 or NOT_KNOWN in ended.said or NO_OUTPUT in ended.said:
        return "" if ended.code != 0 else "it reports success and an error at once"
    if _names_left_out(ended.said) and "nothing was written" not in ended.said:
        return ""
    said_done = ended.code == 0 or any(message in ended.said for message in DONE_ALL_THE_SAME)
    if said_done == done:
        return "" if ended.code == 0 or ended.said.strip() else f"exit code {ended.code} without a word"
    what = "done" if done else "not done"
    return f"it is {what}, and was reported with exit code {ended.code}: {ended.said.strip()[-300:]!r}"


def _names_left_out(said: str) -> bool:
    return any(mark in said for mark in LEFT_OUT)


def _left_over(folder: Path, ended: Ended) -> str:
    """Temporary files, locks of git and markers that are there after a further decision, and that no message names.

    An export that was killed can leave its draft, which is in the way of nothing.
    """
    found = [path for path in folder.rglob("*") if _is_left_over(path) and path.name not in ended.said]
    if ended.code < 0:
        found = [path for path in found if not path.name.startswith(".skillos-export-")]
    names = [path.relative_to(folder).as_posix() for path in found]
    return f"left over: {', '.join(sorted(names))}" if names else ""


def _is_left_over(path: Path) -> bool:
    lock = path.suffix == ".lock" and ".git" in path.parts and path.name != "skillos.lock"
    return lock or path.name.startswith((".skillos-", "skillos-pending")) or path.suffix == ".tmp"


def files_of(root: Path) -> Files:
    """The files below a folder, without its history; {} where there is none."""
    if root.is_file():
        return {"": root.read_bytes()}
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file() or path.is_symlink()}
    return {name: path.read_bytes() for name, path in found.items() if ".git" not in name.split("/")}


FOUR = {"four/SKILL.md": (text("four").encode(), False)}
FURTHER = {"four/SKILL.md"}
"""What the further decision writes."""


def scenes(folder: Path) -> list[Scene]:
    """Make the scenes in a new folder."""
    folder.mkdir(parents=True)
    return [*_decisions(folder), *_commands(folder)]


def _decisions(folder: Path) -> list[Scene]:
    """The decisions on a run with three edits that wait (e1, e2, e4) and a committed one (e3)."""
    home = folder / "decisions"
    home.mkdir()
    (home / "amended.md").write_text(text("one", "Mine.\n"))
    with Run.create(home / "run", kind="train", config_text=CONFIG) as run:
        for name in ("one", "two", "three", "four"):
            proposed(run, Insert(name, text(name)))
        reviews.approve(run, "e3", "ann")
    three = {"three/SKILL.md": text("three").encode()}
    one, mine = ({"one/SKILL.md": text("one", *body).encode()} for body in ((), ("Mine.\n",)))

    def scene(action: str, edit: str, states: tuple[str, str], after: Files, *more: str) -> Scene:
        arguments = ["review", "run", action, edit, *more]
        return Scene(action, home, arguments, "run/repo", three, after, edit, states)

    return [
        scene("approve", "e1", ("pending", "committed"), {**three, **one}),
        scene("veto", "e1", ("pending", "vetoed"), three, "--reason", "too narrow"),
        scene("undo", "e3", ("committed", "undone"), {}),
        scene("amend", "e1", ("pending", "committed"), {**three, **mine}, "--text", "amended.md"),
    ]


def _commands(folder: Path) -> list[Scene]:
    """The commands on a skill repository: its history, another folder of skills, and an export."""
    home = folder / "commands"
    repo = home / "skills"
    (home / "bundle" / "five").mkdir(parents=True)
    (home / "bundle" / "five" / "SKILL.md").write_text(text("five"))
    (home / "bundle" / "five" / "notes.txt").write_text("notes\n")
    history = History.open(repo)
    first = history.put({"one": {"one/SKILL.md": (text("one").encode(), False)}}, message="One", trailers={})
    old = files_of(repo)
    history.put({"two": {"two/SKILL.md": (text("two").encode(), False)}}, message="Two", trailers={})
    history.put(
        {"one": {"one/SKILL.md": (text("one", "New.\n").encode(), False)}}, message="New", trailers={}, replace={"one"}
    )
    now = files_of(repo)
    brought = {f"five/{name}": data for name, data in files_of(home / "bundle" / "five").items()}
    return [
        Scene("restore", home, ["skills", "skills", "restore", first], "skills", now, old),
        Scene("import", home, ["skills", "skills", "import", "bundle"], "skills", now, {**now, **brought}),
        Scene("export", home, ["skills", "skills", "export", "out"], "out", {}, now),
    ]
