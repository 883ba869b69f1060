"""Play outputs of a curator through all rooms: parse them, apply them to a fork, and commit some to a real folder.

    with tempfile.TemporaryDirectory() as folder, Disk(Path(folder), corpus.base, watch) as disk:
        verdicts = play(text, SkillRepo.of(corpus.base))          # [("valid", ""), ("refused", "there is no skill 'a' …")]
        disk.play(text)
        disk.faults()                                             # violations of the invariants; [] after any output

Anything that is raised here but `Refused` and `HistoryError` is a fault of the machinery, and so is an `AssertionError`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import msgspec

from engine.skills import (
    Delete,
    Edit,
    History,
    HistoryError,
    Insert,
    Malformed,
    Refused,
    SkillIndex,
    SkillRepo,
    Update,
    parse_operations,
)
from tests.skills.operations.fuzzing.corpus import OUTSIDE

Verdict = tuple[str, str]
"""valid, malformed or refused, with the reason."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGED = MappingProxyType(
    {
        **dict.fromkeys(("os.mkdir", "os.chmod"), ((0, 2),)),
        **dict.fromkeys(("os.rmdir", "os.remove"), ((0, 1),)),
        **dict.fromkeys(("os.chown", "os.utime"), ((0, 3),)),
        **dict.fromkeys(("os.rename", "os.link"), ((0, 2), (1, 3))),
        "os.truncate": ((0, None),),
        "os.symlink": ((1, 2),),
    }
)
"""The arguments of an audit event that are changed paths, each with the argument that is the folder it is relative to."""
_FOREIGN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.chdir", "socket.connect")
_SEARCHES = ("when to use it", "file test run error", "mug drawer clean", "branch commit merge")


def play(text: str, base: SkillRepo) -> list[Verdict]:
    """Read an output and apply its calls, one after the other, to a fork of `base`."""
    fork = base.fork()
    verdicts: list[Verdict] = []
    for call in parse_operations(text):
        assert msgspec.json.decode(msgspec.json.encode(call), type=type(call)) == call
        if isinstance(call, Malformed):
            assert call.why and call.kind == "malformed"
            verdicts.append(("malformed", call.why))
            continue
        before = fork.texts()
        try:
            edit = call.apply(fork)
        except Refused as refusal:
            assert refusal.why and fork.texts() == before, "a refused call changed the repository"
            verdicts.append(("refused", refusal.why))
            continue
        check(edit, before, fork)
        verdicts.append(("valid", ""))
    return verdicts


def check(edit: Edit, before: Mapping[str, str], after: SkillRepo) -> None:
    """Assert that the edit describes exactly the change of the repository."""
    name = edit.new_name or edit.skill
    told = dict(before)
    assert told.pop(edit.skill, None) == edit.before
    assert (edit.operation == "delete") == (edit.after is None)
    assert (edit.operation == "insert") == (edit.before is None)
    if edit.after is not None:
        told[name] = edit.after
        assert after[name].errors == () and after[name].metadata["name"] == after[name].name == name
    assert edit.operation == "update" or not edit.new_name
    assert after.texts() == told
    msgspec.json.encode(edit)


class Watch:
    """Records, by Python's audit events, every change of the file system by this process.

    What is changed outside `inside` within its context is kept in `seen`. Audit hooks cannot be taken off: one a process.
    """

    def __init__(self) -> None:
        self.inside = ""
        self.seen: list[str] = []
        self._on = False

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in _FOREIGN:
            self.seen.append(f"{event} {arguments!r}"[:200])
        if event == "open" and arguments[2] & _WRITING and not _is_bare(arguments[0]):
            self._check(event, arguments[0], None)
        for place, folder in _CHANGED.get(event, ()):
            self._check(event, arguments[place], None if folder is None else arguments[folder])

    def _check(self, event: str, path: object, folder: int | None) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            base = "" if folder is None or folder < 0 else os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115
            if not self._is_inside(base / Path(os.fsdecode(path))):
                self.seen.append(f"{event} {os.fsdecode(path)[:200]!r}")

    def _is_inside(self, path: Path) -> bool:
        """Whether a path is in the folder, or in a temporary folder of the history."""
        if f"{path}/".startswith(f"{tempfile.gettempdir()}/skillos-") and ".." not in path.parts:
            return True
        return path.name not in ("", "..") and path.parent.resolve().is_relative_to(self.inside)


def _is_bare(path: object) -> bool:
    """Whether a name is relative to an open folder, which the event of `open` does not name: `Disk` compares the folders."""
    return isinstance(path, str | bytes) and "/" not in os.fsdecode(path)


class Disk:
    """A real folder of skills with links out of it, next to canary files that nothing may change."""

    def __init__(self, root: Path, base: Mapping[str, str], watch: Watch) -> None:
        self.root = root
        self.folder = root / "work" / "skills"
        self.commits = self.refusals = 0
        self._watch = watch
        self._make(base)
        self._history = History.open(self.folder)
        self._repo = SkillRepo.open(self.folder)
        self._index = SkillIndex.of(self._repo)
        self._before = self._surroundings()

    def __enter__(self) -> Self:
        self._watch.inside = os.path.realpath(self.folder)
        self._home = Path.cwd()
        os.chdir(self.root / "work" / "here")
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._home)

    def _make(self, base: Mapping[str, str]) -> None:
        for name in ("canary", "work/here/canary", "work/canary", "canaries/canary", "work/skills-too/a/SKILL.md"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(f"---\nname: {name}\ndescription: d\n---\ncanary\n")
        (self.root / "canaries" / "SKILL.md").write_text("---\nname: link-out\ndescription: d\n---\nIs outside.\n")
        for name, text in base.items():
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "SKILL.md").write_bytes(text.encode())
        for name, target in zip(OUTSIDE[1:4:2], ("../../../canary", "../../../absent"), strict=True):
            (self.folder / name).mkdir()
            (self.folder / name / "SKILL.md").symlink_to(target)
        (self.folder / "link-out").symlink_to("../../canaries")
        (self.folder / "link-flat.md").symlink_to("../../canary")
        (self.folder / "link-absent").symlink_to("../../absent-folder")
        (self.folder / "link-up").symlink_to("..")

    def play(self, text: str) -> None:
        """Parse an output and commit each of its calls that applies. What the history refuses changes nothing."""
        for call in parse_operations(text):
            if not isinstance(call, Malformed):
                self._commit(call)

    def _commit(self, call: Insert | Update | Delete) -> None:
        fork = self._repo.fork()
        try:
            edit = call.apply(fork)
            self._history.commit(edit, message=edit.skill, trailers={"Task": edit.skill, "Reason": edit.after or ""})
        except (Refused, HistoryError):
            self.refusals += 1
            return
        self.commits += 1
        self._repo = fork
        if edit.before is not None:
            self._index.delete(edit.skill)
        if edit.after is not None:
            self._index.insert(edit.new_name or edit.skill, fork[edit.new_name or edit.skill])

    def faults(self) -> list[str]:
        """Forbidden changes by the outputs: outside the folder, of its links and git, or missing from the repository."""
        found = [f"outside: {seen}" for seen in self._watch.seen]
        self._watch.seen = []
        after = self._surroundings()
        changed = [path for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)]
        found += [f"outside: {path} is not as it was" for path in sorted(changed)]
        present = SkillRepo.open(self.folder).texts()
        known = self._repo.texts()
        differing = [name for name in present.keys() | known.keys() if present.get(name) != known.get(name)]
        found += [f"inside: the file of {name[:80]!r} is not what was applied" for name in sorted(differing)]
        anew = SkillIndex.of(self._repo)
        found += [f"index: {query!r}" for query in _SEARCHES if anew.search(query, 9) != self._index.search(query, 9)]
        return found

    def _surroundings(self) -> dict[str, tuple[object, ...]]:
        """The present state of everything around the folder, and of the links, hooks and settings inside it."""
        found: dict[str, tuple[object, ...]] = {}
        for here, folders, names in os.walk(self.root):
            inside = Path(here).is_relative_to(self.folder)
            if inside and ".git" in Path(here).parts and Path(here).name not in (".git", "hooks"):
                folders.clear()
            for name in (*folders, *names):
                path = Path(here) / name
                if not inside or path.is_symlink() or path.parent.name == "hooks" or name == "config":
                    found[str(path.relative_to(self.root))] = _state(path)
        del found["work/skills"]
        return found


def _state(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "link", str(path.readlink()), status.st_mtime_ns
    if stat.S_ISREG(status.st_mode):
        return status.st_mode, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()
    return status.st_mode, status.st_mtime_ns
