"""Screens with many items: a repository of 10,000 skills, an edit of 5,000 lines."""

from __future__ import annotations

import re
import time

from engine.core.events import StateChanged
from tests.benchmarks.workbench.bench import Bench
from tests.benchmarks.workbench.watching import focus_skills, moved_in, press, settle, shows
from tests.workbench.ptys import Terminal
from tests.workbench.recording import create, proposal, record_training, skill_text


def skills(bench: Bench) -> None:
    """A repository of 10,000 skills, in the tree of Live and on the screen Skills."""
    path = bench.folder / "many"
    with record_training(path, steps=1) as run:
        for number in range(10_000):
            skill = run.repo_path / f"skill-{number:05}"
            skill.mkdir(parents=True)
            (skill / "SKILL.md").write_text(skill_text(f"thing-{number}", "safe").replace("find-thing", "skill"))
    with bench.app(str(path)) as terminal:
        began = time.perf_counter()
        terminal.until("Executor")
        painted = time.perf_counter()
        terminal.until(lambda: re.search(r"10,?000 skills", terminal.text))
        shown = (time.perf_counter() - painted) * 1000
        whole = (time.perf_counter() - began) * 1000
        found = f"{shown:.0f} ms after the first paint, {whole:.0f} in all"
        bench.note("10,000 skills in Live's tree", found, "1 s", shown <= 1000, ms=shown, whole_ms=whole)
        terminal.quiet(1.0)
        focus_skills(terminal)
        _moves(bench, terminal, "j in Live's tree of 10,000")
        bench.times("10,000 skills on 3", [press(terminal, b"3", shows("skill-00000", terminal))], "1 s", "p50", 1000)
        terminal.quiet(3.0)
        _moves(bench, terminal, "j among 10,000 skills on 3")
        press(terminal, b"1", shows("Executor", terminal))


def _moves(bench: Bench, terminal: Terminal, what: str) -> None:
    """One `j` as a person presses it, and one right after another: then each waits for Textual's next frame (1/60 s), as the
    bare app's key does."""
    alone = []
    for _ in range(bench.samples):
        alone.append(press(terminal, b"j", moved_in("Skills", terminal)))
        settle(terminal)
    bench.times(what, alone, "p50 10 ms", "p50", 10)
    fast = [press(terminal, b"j", moved_in("Skills", terminal)) for _ in range(bench.samples)]
    bench.times(f"{what}, without a pause", fast)


def diff(bench: Bench) -> None:
    """The next edit of the queue is a new file of 5,000 lines."""
    path = bench.folder / "wide"
    text = skill_text("wide", "safe") + "".join(f"{number}. Look at place {number} twice.\n" for number in range(5_000))
    with create(path) as run:
        edits = [proposal(7 + at, 0, edit=f"e{at}", after=text if at % 2 else None) for at in range(2)]
        run.append(StateChanged("finished"), *edits)
        names = [edit.edit.skill for edit in edits]
    with bench.app(str(path)) as terminal:
        terminal.until("Review·2", 60)
        press(terminal, b"2", shows(f"insert · {names[0]}", terminal))
        terminal.quiet(0.5)
        times = []
        for _ in range(bench.samples):
            times.append(press(terminal, b"n", shows(f"insert · {names[1]}", terminal)))
            terminal.quiet(0.5)
            press(terminal, b"p", shows(f"insert · {names[0]}", terminal))
            terminal.quiet(0.5)
        bench.times("diff of 5,000 lines opens", times, "150 ms", "p50", 150)
        press(terminal, b"1", shows("Executor", terminal))
