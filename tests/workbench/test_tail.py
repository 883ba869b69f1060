"""What the thread that follows a run posts, and in which order."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest
from textual.message import Message

from engine.skills.repo.layout import Layout, layout_of
from skillos_tui.client import tail
from skillos_tui.client.messages import RepoRead
from tests.workbench.recording import record_training


def test_no_older_list_of_skills_is_posted_after_a_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record_training(tmp_path / "run", steps=0)
    posted: list[Message] = []
    listed, go_on = Event(), Event()

    def slow(path: Path) -> Layout:
        layout = layout_of(path)
        if not listed.is_set():
            listed.set()
            go_on.wait(60)
        return layout

    monkeypatch.setattr(tail, "layout_of", slow)
    followed = tail.Tail(run, None, posted.append)
    older = Thread(target=followed.post_repo)
    older.start()
    listed.wait(60)
    (run.repo_path / "mugs").mkdir()
    (run.repo_path / "mugs" / "SKILL.md").write_text("---\nname: mugs\ndescription: A mug.\n---\n")
    newer = Thread(target=followed.post_repo)
    newer.start()
    newer.join(0.5)  # without the order it ends here; with it, it waits
    go_on.set()
    older.join()
    newer.join()
    assert [message.names for message in posted if isinstance(message, RepoRead)] == [(), ("mugs",)]
