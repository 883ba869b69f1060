"""A backend over HTTP, one module of a package: a run curates, is judged and trains by a server, as by the local backend."""

import pytest

from engine.config import load_profile
from engine.core.errors import ConfigError
from engine.runs.directory import Run
from engine.system.preflight import check
from tests.extending.installed import install
from tests.models.serving import serving
from tests.models.test_backend import shell

SMALL = ("training.groups=1", "training.rollouts=2", "training.tasks=2")
PARTS = {
    "skillos.models": "remote = tests.extending.toys.remote:KIND",
    "skillos.judges": "strict = tests.extending.toys.strict:KIND",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    metadata = folder / "remote-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: remote\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("".join(f"[{group}]\n{line}\n" for group, line in PARTS.items()))
    return folder


@pytest.fixture
def server():
    with serving() as server:
        yield server


def curated(path, step):
    """The decisions of a step, by their positions."""
    with Run.open(path) as run:
        made = [stored.event for stored in run.events(kinds=["curation_made"])]
    return {event.at: event for event in made if event.at.step == step}


@pytest.mark.slow
def test_a_server_that_only_loads_adapters_is_trained_like_the_model_in_this_process(package, server, tmp_path):
    train = ("train", "--profile", "pocket", "--steps", 2, "--set", *SMALL, "training.evaluate_every=0")
    remote = shell(package, *train, "model.kind=remote", f"model.url={server.url}", "--run", tmp_path / "remote")
    assert remote.returncode == 0, remote.stdout + remote.stderr
    assert server.published == ["step-0001", "step-0002"]
    assert server.asked["curator", 0] == server.asked["curator", 1] == 4  # the adapter of step 1 played step 2
    local = shell(package, *train, "--run", tmp_path / "local")
    assert local.returncode == 0, local.stdout + local.stderr
    assert curated(tmp_path / "remote", 1) == curated(tmp_path / "local", 1)


def test_a_judge_of_a_package_asks_the_servers_model_by_its_own_prompts(package, server, tmp_path):
    curate = ("curate", "--profile", "pocket", "--tasks", 2, "--repo", tmp_path / "repo", "--run", tmp_path / "run")
    parts = ("model.kind=remote", f"model.url={server.url}", "judge.kind=strict", "review.policy=auto")
    done = shell(package, *curate, "--set", *parts, "executor.decoding=generate")
    assert done.returncode == 0, done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        assert [stored.event.judge for stored in run.events(kinds=["curation_made"])] == [0.7, 0.7]
    system, user = server.judged[-1]
    assert system.content.startswith("You mark skills") and user.content.startswith("The task was: ")


def test_a_judge_that_needs_a_model_is_refused_where_the_backend_has_none(package, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(package))
    install(tmp_path / "other", monkeypatch, "skillos.models", parrot="tests.extending.toys.backend:KIND")
    check(load_profile("pocket", ["judge.kind=strict"]), "curate")
    settings = ["judge.kind=strict", "model.kind=parrot", "executor.decoding=generate"]
    with pytest.raises(
        ConfigError, match=r"judge\.kind=strict needs a model that answers .*, and model\.kind=parrot has"
    ):
        check(load_profile("pocket", settings), "curate")


def test_an_adapter_is_refused_where_the_backend_takes_none(tmp_path, monkeypatch):
    install(tmp_path / "other", monkeypatch, "skillos.models", parrot="tests.extending.toys.backend:KIND")
    settings = ["curate.adapter=/some/run", "model.kind=parrot", "executor.decoding=generate"]
    with pytest.raises(ConfigError, match=r"model\.kind=parrot takes no adapters"):
        check(load_profile("pocket", settings), "curate")
