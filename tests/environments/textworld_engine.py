"""The real ALFWorld engine (TextWorld with fast-downward), played in a process of its own. See `docs/textworld.md`.

    [played] = play_in_textworld([Session(file, [["go to desk 1", "look"], ["help"]])])
    played.episodes[0][-1].text, played.step_seconds

It swaps `sys.stdout`, raises `SystemExit` for a problem that it refuses and keeps what it loads, so it never runs inside
the tests. One engine loads all sessions of a call, one after the other.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

PACKAGES = ("textworld", "fast_downward", "alfworld", "jericho")
installed = all(map(find_spec, PACKAGES))
needs_textworld = pytest.mark.skipif(not installed, reason="TextWorld is not installed: see docs/textworld.md")


class Session(msgspec.Struct, frozen=True):
    """Episodes, each a list of actions, to be played in the game of one `game.tw-pddl`."""

    file: str
    episodes: list[list[str]]


class Answered(msgspec.Struct, frozen=True):
    """One answer of the engine."""

    text: str
    admissible: tuple[str, ...]
    reward: float
    done: bool
    won: bool


class Played(msgspec.Struct, frozen=True):
    """What the engine answered: for each episode the first observation and then one an action.

    A reset has no reward, and nothing says whether it is `done`: 0.0 and `won` stand there.
    """

    episodes: list[list[Answered]]
    load_seconds: float
    reset_seconds: list[float]
    step_seconds: list[float]


class Request(msgspec.Struct, frozen=True):
    """Sessions to play, or a folder of which ALFWorld shall list the games."""

    sessions: list[Session] = []
    folder: str = ""


def play_in_textworld(sessions: Sequence[Session], timeout: float = 1800.0) -> list[Played]:
    """Plays every session; `timeout` is in seconds. Raises `RuntimeError`, with its last words, if it refuses a game."""
    return msgspec.json.decode(_answer(Request(sessions=list(sessions)), timeout), type=list[Played])


def listed(folder: Path, timeout: float = 60.0) -> list[Path]:
    """The games that ALFWorld itself finds under `folder`, of all task types."""
    return [Path(file) for file in msgspec.json.decode(_answer(Request(folder=str(folder)), timeout), type=list[str])]


def _answer(request: Request, timeout: float) -> bytes:
    with tempfile.TemporaryDirectory() as data:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=msgspec.json.encode(request),
            capture_output=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"ALFWORLD_DATA": data},
            timeout=timeout,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"TextWorld ended with {done.returncode}: {done.stderr.decode(errors='replace')[-4000:]}")
    return done.stdout


def _serve() -> None:
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    with contextlib.redirect_stdout(sys.stderr):
        answer = _listed(request.folder) if request.folder else _played(request.sessions)
    sys.stdout.buffer.write(msgspec.json.encode(answer))


def _played(sessions: Sequence[Session]) -> list[Played]:
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos
    from textworld.envs import PddlEnv

    asked = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
    environment = AlfredInfos(AlfredDemangler(PddlEnv(asked), shuffle=False))
    return [_session(environment, session) for session in sessions]


def _session(environment: Any, session: Session) -> Played:
    print(f"loading {session.file}", file=sys.stderr)
    began = time.perf_counter()
    environment.load(session.file)
    played = Played([], time.perf_counter() - began, [], [])
    for actions in session.episodes:
        began = time.perf_counter()
        state = environment.reset()
        played.reset_seconds.append(time.perf_counter() - began)
        observations = [_observation(state, 0.0, state["won"])]
        for action in actions:
            began = time.perf_counter()
            state, reward, done = environment.step(action)
            played.step_seconds.append(time.perf_counter() - began)
            observations.append(_observation(state, reward, done))
        played.episodes.append(observations)
    return played


def _observation(state: Any, reward: float, done: bool) -> Answered:
    return Answered(state["feedback"], tuple(state["admissible_commands"]), float(reward), done, state["won"])


def _listed(folder: str) -> list[str]:
    from alfworld.agents.environment.alfred_tw_env import TASK_TYPES, AlfredTWEnv

    config = {
        "env": {"goal_desc_human_anns_prob": 0, "task_types": list(TASK_TYPES)},
        "dataset": {"data_path": folder, "num_train_games": 0},
    }
    return AlfredTWEnv(config, "train").game_files


if __name__ == "__main__":
    _serve()
