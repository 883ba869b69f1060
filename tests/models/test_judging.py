"""Judges on a server of their own, in real runs: the judge's model is one line of configuration, an environment that does
not tell whether a task was done is played, and an outage of the judge alone loses the content's score alone."""

import msgspec
import pytest

from engine.config import load_profile
from engine.core.errors import ConfigError
from engine.environments.base import UNJUDGED, Result
from engine.environments.episode import Episode
from engine.evaluation.verify import open_means, verify
from engine.runs.directory import Run
from engine.system.preflight import check
from tests.agents.verdicts import content, success
from tests.extending.installed import install
from tests.extending.toys.notes import KIND as NOTES
from tests.extending.toys.notes import NoteSettings
from tests.models.serving import serving
from tests.models.test_backend import shell

PARTS = {
    "skillos.models": "remote = tests.extending.toys.remote:KIND",
    "skillos.environments": "notes = tests.extending.toys.notes:KIND",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    metadata = folder / "judging-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: judging\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("".join(f"[{group}]\n{line}\n" for group, line in PARTS.items()))
    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    for group, line in PARTS.items():
        name, _, part = line.partition(" = ")
        install(tmp_path / name, monkeypatch, group, **{name: part})


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


def both(messages):
    """What a judge answers: by whether it is asked of success or of content."""
    return success("failure") if "decide whether" in messages[0].content else content()


ASKED_BEFORE = 4 + 4 + 1
"""What the preflight asks the judge: verdicts of content, verdicts of success, and a prompt of the greatest length."""


def curated(package, folder, *settings, tasks=3, override=()):
    """A finished curate run of the pocket model in the engine's process; what its events are, by kind."""
    curate = ("curate", "--profile", "pocket", "--tasks", tasks, "--repo", folder / "repo", "--run", folder / "run")
    done = shell(package, *curate, *override, "--set", "review.policy=auto", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    with Run.open(folder / "run") as run:
        return [stored.event for stored in run.events()]


def of(kind, events):
    return [event for event in events if type(event).__name__ == kind]


def judge_at(server):
    return f'judge_model={{kind="remote", url="{server.url}"}}'


@pytest.fixture(scope="module")
def run(package, server, tmp_path_factory):
    """A run in an environment that does not tell, both judges being a model on a server of its own."""
    server.mark, folder = both, tmp_path_factory.mktemp("judged")
    parts = ("environment.kind=notes", "executor.decoding=generate", "success_judge.kind=llm")
    curated(package, folder, judge_at(server), "judge.kind=llm", *parts, "success_judge.model=judge")
    return folder / "run"


@pytest.fixture(scope="module")
def events(run):
    with Run.open(run) as opened:
        return [stored.event for stored in opened.events()]


def test_a_task_whose_environment_does_not_tell_is_decided_by_the_judge(events):
    ended = [(event.outcome.kind, event.judged) for event in of("EpisodeEnded", events)]
    assert ended == [("failed", success("failure"))] * 3


def test_a_judge_on_a_second_server_scores_beside_the_rubric(events, server):
    made = of("CurationMade", events)
    written = [event for event in made if event.judge_text]
    assert written and len(server.judged) == ASKED_BEFORE + len(written) + 3
    assert {(event.judge, event.judge_text) for event in written} == {(0.625, content())}
    assert all(event.judge_check is not None for event in made)
    assert sum(pair.decisions for step in of("StepEnded", events) for pair in step.judged_twice) == len(made) == 3
    assert server.asked == {}  # the curator and the executor are in the engine's process


def test_verify_reads_kept_answers_again_and_says_what_it_did_not_check(package, run, events):
    verified = shell(package, "verify", run)
    assert verified.returncode == 0, verified.stdout
    written = sum(bool(event.judge_text) for event in of("CurationMade", events))
    assert f"not checked: judge {written} (a model judged; its kept answer was only read again)" in verified.stdout
    assert "not checked: plays 3 (a model decided the outcome; its kept answer was only read again)" in verified.stdout
    agreement = "judge beside rubric: mean absolute difference "
    assert agreement in verified.stdout and agreement in shell(package, "status", run).stdout


def test_a_changed_score_or_check_or_outcome_is_a_difference(run, installed):
    with Run.open(run) as opened:
        stored, config = list(opened.stream()), opened.config

    def found(kind, **changes):
        """Where the log differs once the events of `kind` say something else."""
        changed = [
            msgspec.structs.replace(item, event=msgspec.structs.replace(item.event, **changes))
            if type(item.event).__name__ == kind
            else item
            for item in stored
        ]
        return [difference.where for difference in verify(changed, config, "curate", means=open_means).differences]

    place = "step 1 group 0 rollout 0 position 1"
    assert found("CurationMade") == []
    assert f"{place} judge's check" in found("CurationMade", judge_check=0.123)
    assert f"{place} judge" in found("CurationMade", judge_text=content(faithfulness="no"))
    assert f"{place} outcome" in found("EpisodeEnded", judged=success())
    assert "step 1 unjudged" in found("StepEnded", unjudged=5)
    assert "step 1 scores of the judge and the rubric" in found("StepEnded", judged_twice=[])


@pytest.mark.parametrize(("capped", "turns"), [(False, 2), (True, 2), (True, 0)])
def test_the_outcome_is_not_known_however_the_episode_ends(capped, turns):
    settings = NoteSettings(capped=capped)
    source = NOTES.open(settings)
    episode = Episode(NOTES, source, source.stream(1, 1)[0])
    episode.start()
    for _ in range(turns):
        episode.step("a line")
    assert episode.final_result() == Result(UNJUDGED)


@pytest.mark.slow
def test_an_answer_that_is_none_leaves_the_task_unmeasured_and_its_text_in_the_log(package, server, tmp_path):
    server.mark = "Well done!"
    parts = ("environment.kind=notes", "executor.decoding=generate", "success_judge.kind=llm")
    curate = ("curate", "--profile", "pocket", "--tasks", 1, "--repo", tmp_path / "repo", "--run", tmp_path / "run")
    done = shell(package, *curate, "--set", *parts, "success_judge.model=judge", judge_at(server))
    assert done.returncode == 1 and "the curator made no decision in the only task" in done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        (ended,) = (stored.event for stored in run.events(kinds=["episode_ended"]))
    assert ended.outcome.reason == "the judge's answer cannot be read: it does not end with a JSON object"
    assert ended.judged == "Well done!"


def test_an_outage_of_the_judge_alone_loses_the_score_of_the_content_alone(package, server, tmp_path):
    server.mark = 503
    events = curated(
        package,
        tmp_path,
        judge_at(server),
        "judge.kind=llm",
        "judge.retries=0",
        tasks=2,
        override=("--override", "judge"),
    )
    asked = [event for event in of("CurationMade", events) if event.judge is None]
    assert asked and {event.judge_reason for event in asked} == {"the judge failed: the server answers 503"}
    parts = [event.rewards for event in of("RolloutScored", events)]
    lost = [part for part in parts if part.r_cnt is None]
    assert lost and all(part.r is None and part.r_fc is not None and part.r_comp is not None for part in lost)
    assert all(event.outcome.measured for event in of("EpisodeEnded", events))
    assert sum(step.unjudged for step in of("StepEnded", events)) == len(asked)
    (warning,) = (event.message for event in of("Notice", events) if "the judge did not score" in event.message)
    assert "1 of 1 decision (1 time: the judge failed: the server answers 503)" in warning


@pytest.mark.slow
def test_the_pocket_model_as_a_judge_gives_no_verdict_and_does_no_harm(package, tmp_path):
    events = curated(package, tmp_path, "judge.kind=llm", "judge.max_tokens=48", tasks=2)
    texts = [event.judge_text for event in of("CurationMade", events) if event.judge is None]
    assert texts and all(texts)


def refused(*settings):
    with pytest.raises(ConfigError) as raised:
        check(load_profile("pocket", ["executor.decoding=generate", *settings]), "curate")
    return str(raised.value)


def test_what_judges_nothing_is_refused_before_the_run(installed):
    assert "environment.kind=notes does not tell whether a task was done" in refused("environment.kind=notes")
    asks_nobody = refused('judge_model={kind="remote", url="http://127.0.0.1:1"}')
    assert "judge_model.kind=remote would never be asked" in asks_nobody and "set judge.kind=llm" in asks_nobody
    check(load_profile("pocket", ["judge.kind=llm", 'judge_model={kind="remote", url="http://127.0.0.1:1"}']), "train")
    address = refused("judge.kind=llm", 'judge_model={kind="remote", url="nowhere"}')
    assert address.startswith("judge_model.url is no address of a server")
    assert "judge.max_tokens=4096 leaves no room for a prompt in model.context=4096" in refused(
        "judge.kind=llm", "judge.max_tokens=4096"
    )
    small = ("judge.kind=llm", 'judge_model={kind="local", context=1024}')
    assert "judge.max_tokens=1024 leaves no room for a prompt in judge_model.context=1024" in refused(*small)


def test_the_executors_model_is_asked_about_its_own_context(installed):
    small = 'executor_model={kind="local", context=24}'
    assert "executor.max_tokens=24 leaves no room for a prompt in executor_model.context=24" in refused(small)
    remote = 'executor_model={kind="remote", url="http://127.0.0.1:1"}'
    message = refused(remote, "executor.decoding=loglikelihood")
    assert "executor_model.kind=remote does not" in message
