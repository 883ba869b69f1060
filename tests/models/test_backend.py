"""A backend that an installed package adds by one line, which reports no token ids and scores no texts: what it can do, it
does, and what it cannot do is said before a run is created."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.base import Scorer
from engine.models.registry import BACKENDS
from engine.runs.directory import Run
from tests.agents.scripted import Scoring, Scripted

ROOT = Path(__file__).parents[2]
PACKAGE = '''
import sys

from engine.models.base import Completion, Models, Opened, Usage
from engine.models.registry import ModelBackend
from engine.models.settings import ModelSettings


class MuteSettings(ModelSettings, frozen=True, tag="mute"):
    answer: str = "<think>so</think><action>wait</action>"
    """What it answers."""


KIND = ModelBackend(name="mute", settings=MuteSettings, opens="mute:open_models")


class Mute:
    def __init__(self, answer):
        self.answer = answer

    async def complete(self, messages, sampling, tools=None):
        text = "PyTorch is loaded" if "torch" in sys.modules else self.answer
        return Completion(text, "stop", Usage(prompt=123, completion=45))


class Words:
    def count(self, text):
        return len(text.split())


async def open_models(settings, opening):
    opening.report("the mute model")
    model = Mute(settings.answer)
    return Opened(Models(model, model, None, Words()))
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of an installed package with the backend."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "mute.py").write_text(PACKAGE)
    metadata = folder / "mute-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mute\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[skillos.models]\nmute = mute:KIND\n")
    return folder


def shell(package, *arguments):
    paths = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


MUTE = ("--profile", "pocket", "--set", "model.kind=mute", "review.policy=auto")


def test_a_curate_run_works_and_counts_tokens_by_what_the_backend_reports(package, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(package))
    curate = ("curate", *MUTE, "executor.decoding=generate", "--tasks", 2, "--repo", tmp_path / "repo")
    done = shell(package, *curate, "--override", "curator", "--run", tmp_path / "run")  # it calls nothing
    assert done.returncode == 0, done.stderr
    with Run.open(tmp_path / "run") as run:
        made = [stored.event for stored in run.events(kinds=["curation_made"])]
        turns = [stored.event for stored in run.events(kinds=["turn_taken"])]
    assert [(event.prompt_tokens, event.completion_tokens, event.canonical) for event in made] == [(123, 45, None)] * 2
    assert {turn.action for turn in turns} == {"wait"}  # and PyTorch was not loaded


@pytest.mark.parametrize(
    ("command", "decoding", "why"),
    [
        ("train", "generate", "model.kind=mute cannot be trained: a train run needs a backend that reports token ids"),
        ("curate", "loglikelihood", "needs a model that scores given texts, and model.kind=mute does not"),
    ],
)
def test_what_it_cannot_do_is_said_before_a_run_is_created(package, tmp_path, command, decoding, why):
    repo = ("--repo", tmp_path / "repo") if command == "curate" else ()
    done = shell(package, command, *MUTE, f"executor.decoding={decoding}", *repo, "--run", tmp_path / "run")
    assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_to_score_texts_is_an_ability_of_its_own():
    assert isinstance(Scoring(), Scorer)
    assert not isinstance(Scripted(), Scorer)


def test_naming_the_backends_loads_none_of_them():
    code = (
        "import sys; from engine.models.registry import BACKENDS; BACKENDS.load('local'); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert BACKENDS.names()[0] == "local"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
