"""Any kind of run, profile and settings can be started; a refusal names the field, and nothing has been created then."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import profiles, user_profiles
from engine.jobs.registry import JOBS
from engine.runs.directory import Run
from skillos_tui.client.messages import StartRun
from skillos_tui.client.start import StartError, create_run
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.screens.start.screen import StartScreen
from tests.workbench.stage import at_once, on_screen, until, workbench
from tests.workbench.test_home_keys import engines, names

__all__ = ["engines"]


@pytest.mark.parametrize("kind", JOBS.names())
def test_every_kind_of_run_is_created_of_the_first_profile_with_settings(tmp_path: Path, kind: str) -> None:
    profile = profiles()[0]
    assert profile == "pocket"  # it needs no server, no download and no device, as others may
    path = create_run(StartRun(kind, profile, ("training.steps=2", "curate.tasks=7")), tmp_path)
    assert path.parent == tmp_path
    with Run.open(path) as run:
        assert run.kind == kind and run.config.profile == profile
        assert (run.config.training.steps, run.config.curate.tasks) == (2, 7)


@pytest.mark.parametrize("profile", [name for name in profiles() if name != "pocket"])
def test_a_profile_whose_models_or_games_are_not_here_is_refused_with_what_is_missing(
    tmp_path: Path, profile: str
) -> None:
    with pytest.raises(StartError) as refused:
        create_run(StartRun("train", profile), tmp_path)
    assert refused.value.field == "profile" and not list(tmp_path.iterdir())


def test_a_run_that_cannot_fit_the_memory_is_refused_with_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.system.plan.machines.host_memory", lambda: 1_000_000)
    with pytest.raises(StartError, match=r"the run needs at least .* of memory"):
        create_run(StartRun("train", "pocket"), tmp_path)


def test_a_run_works_on_the_repository_and_in_the_directory_that_are_named(tmp_path: Path) -> None:
    request = StartRun("curate", "pocket", path=tmp_path / "mine", repo=tmp_path / "skills")
    assert create_run(request, tmp_path / "runs") == tmp_path / "mine"
    with Run.open(tmp_path / "mine") as run:
        assert run.repo_path == tmp_path / "skills" and run.repo_path.is_dir()
    assert not (tmp_path / "runs").exists()


REFUSED = [
    (StartRun("tran", "pocket"), "kind", "did you mean train?"),
    (StartRun("train", "poket"), "profile", "the profiles are: "),
    (StartRun("train", "pocket", ("training.stepps=2",)), "settings", "training.stepps"),
    (
        StartRun("train", "pocket", ("training.seed=5",), given={"training.steps": "x"}),
        "training.steps",
        "a whole number",
    ),
    (StartRun("curate", "pocket", given={"review.policy": "foo"}), "review.policy", "expected one of: "),
    (
        StartRun("curate", "pocket", given={"curate.adapter": "~nobody-of-this-name/r"}),
        "curate.adapter",
        "no home folder",
    ),
    (StartRun("train", "pocket", given={"environment.kind": "alfworld"}), "environment.kind", "environment.split"),
    (StartRun("train", "endpoint"), "profile", "cannot be trained"),
    (StartRun("train", "pocket", ("steps",)), "settings", "section.key=value"),
    (StartRun("train", "pocket", ("curator.temperature=0",)), "settings", "curator.temperature=0"),
    (StartRun("train", "pocket", repo=Path("/tmp/skills")), "repo", "makes its own repositories"),
    (StartRun("curate", "pocket", repo=Path(__file__)), "repo", "is a file"),
    (StartRun("curate", "pocket", repo=Path("/proc/none")), "repo", "cannot make /proc/none"),
    (StartRun("curate", "pocket", repo=Path("~nobody-of-this-name/skills")), "repo", "nobody-of-this-name"),
    (StartRun("train", "pocket", path=Path(__file__).parent), "path", "already exists and is not empty"),
]


@pytest.mark.parametrize(("request_", "field", "why"), REFUSED)
def test_what_cannot_be_started_is_refused_with_its_field(
    tmp_path: Path, request_: StartRun, field: str, why: str
) -> None:
    with pytest.raises(StartError) as refused:
        create_run(request_, tmp_path / "runs")
    assert refused.value.field == field and why in str(refused.value) and "--set" not in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_cannot_be_created_leaves_no_repository(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StartError, match="cannot make a run in"):
        create_run(StartRun("curate", "pocket", repo=tmp_path / "my" / "skills"), tmp_path / "file" / "runs")
    assert not (tmp_path / "my").exists()


async def test_the_dialog_starts_a_run_of_the_entered_settings(engines: Path) -> None:
    async with workbench(folder=engines) as pilot:
        await until(pilot, "No runs yet")
        at_once(pilot, "n")
        await until(pilot, "Start a run")
        await pilot.press("tab", "tab", "tab", "tab", *"curate.tasks=9", "enter", *"review.policy=auto", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.kind == "train" and run.config.curate.tasks == 9 and run.config.review.policy == "auto"
        await pilot.press("h")
        await until(pilot, "Another run …")


async def test_the_dialog_starts_another_kind_on_a_repository(engines: Path, tmp_path: Path) -> None:
    async with workbench(folder=engines) as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        assert "repository" not in on_screen(pilot)
        await pilot.press("enter", "down", "enter")
        await until(pilot, "repository")
        await pilot.press(*["tab"] * 7, *str(tmp_path / "skills"), "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.kind == "curate" and run.repo_path == tmp_path / "skills"


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 12)])
async def test_a_refusal_is_shown_below_its_field_and_the_input_is_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    async with workbench(folder=tmp_path / "runs", size=size) as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        await pilot.press("tab", "tab", "tab", "tab", *"training.stepps=2", "ctrl+s")
        await until(pilot, "there is no setting")
        assert isinstance(pilot.app.screen, StartScreen) and pilot.app.screen.request.settings == ("training.stepps=2",)
        assert pilot.app.screen.query_one("#settings").has_focus
        assert not (tmp_path / "runs").exists()
        await pilot.press("escape")
        await until(pilot, "Another run …")
        await pilot.press("n")
        await until(pilot, "training.stepps=2")


async def test_a_runs_folder_that_cannot_be_written_is_reported_in_the_dialog(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with workbench(folder=tmp_path / "file" / "runs") as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        await pilot.press("ctrl+s")
        await until(pilot, "cannot make a run in")
        assert isinstance(pilot.app.screen, StartScreen)


async def test_what_is_typed_in_one_burst_reaches_the_field_that_the_tabs_lead_to(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        at_once(pilot, "tab", "tab", "tab", "tab", *"training.stepps=2", "ctrl+s")
        await until(pilot, "there is no setting")
        assert isinstance(pilot.app.screen, StartScreen) and pilot.app.screen.request.settings == ("training.stepps=2",)


async def test_editing_keys_of_one_burst_act_in_their_order(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        at_once(
            pilot,
            "tab",
            "tab",
            "tab",
            "tab",
            *"abcd",
            "backspace",
            *"xyz",
            "left",
            "left",
            "1",
            "enter",
            "2",
            "home",
            "3",
        )
        screen = pilot.app.screen
        assert isinstance(screen, StartScreen)
        await until(pilot, lambda: screen.request.settings == ("abcx1", "32yz"))


@pytest.fixture
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_profiles().mkdir(parents=True)
    return user_profiles()


async def test_a_run_of_the_users_own_profile_is_started_in_the_dialog(engines: Path, own_profiles: Path) -> None:
    (own_profiles / "mine.toml").write_text('profile = "pocket"\n[training]\nsteps = 3\n')
    async with workbench(folder=engines) as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        await pilot.press("tab", "enter", "end", "enter")
        await until(pilot, "mine")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.config.profile == "mine" and run.config.training.steps == 3


def test_a_mistake_in_a_profile_of_ones_own_names_the_file(tmp_path: Path, own_profiles: Path) -> None:
    (own_profiles / "mine.toml").write_text("[training]\nstepps = 3\n")
    with pytest.raises(StartError, match=r"mine.toml.*training.stepps"):
        create_run(StartRun("train", "mine"), tmp_path / "runs")
    (own_profiles / "pocket.toml").write_text("")
    with pytest.raises(StartError, match="has the name of a shipped profile"):
        create_run(StartRun("train", "pocket"), tmp_path / "runs")


async def test_the_form_has_the_options_of_the_kind_and_starts_with_them(engines: Path) -> None:
    async with workbench(folder=engines) as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        assert (
            "environment" in on_screen(pilot)
            and "steps" in on_screen(pilot)
            and "whose trained weights" not in on_screen(pilot)
        )
        await pilot.press("tab", "tab", "tab", *"3", "tab", *"training.seed=5", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.config.training.steps == 3 and run.config.training.seed == 5


async def test_a_bad_value_is_named_below_its_own_field(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        await pilot.press("tab", "tab", "tab", *"3x", "ctrl+s")
        await until(pilot, "training.steps = '3x' cannot be used")
        assert pilot.app.focused.id == "set-training-steps"
        error = pilot.app.screen.query_one("#set-training-steps-error")
        assert error.region.y == pilot.app.focused.region.y + 1
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Starting" not in on_screen(pilot))


async def test_the_form_explains_the_field_and_the_setting_that_is_typed(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        await pilot.press("tab", "tab", "tab")
        await until(pilot, "training.steps: ")
        await pilot.press("tab", *"lambda")
        await until(pilot, "rewards.lambda_f")
        await pilot.press(*["backspace"] * 6, *"training.seed")
        await until(pilot, "training.seed: ")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_no_documentation_of_a_setting_is_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    from skillos_tui.client.start import settings_of

    longest = max(settings_of("pocket").settings.items(), key=lambda setting: len(setting[1].doc))
    async with workbench(folder=tmp_path / "runs", size=size) as pilot:
        await pilot.press("n")
        await until(pilot, "Start a run")
        pilot.app.screen.query_one("#settings").focus()
        await pilot.press(*longest[0])
        await until(pilot, f"{longest[0]}: ")
        assert f" {longest[1].doc.split()[-1]} " in on_screen(pilot).replace("│", "")


def test_a_curator_is_named_as_a_run_with_a_step_and_settings_take_precedence(tmp_path: Path) -> None:
    given = {"curate.adapter": str(tmp_path / "a run@3"), "curate.tasks": "4"}
    with pytest.raises(StartError) as refused:
        create_run(StartRun("curate", "pocket", given=given), tmp_path / "runs")
    assert refused.value.field == "curate.adapter" and "a run" in str(refused.value)
    path = create_run(StartRun("curate", "pocket", ("curate.tasks=6",), given={"curate.tasks": "4"}), tmp_path / "runs")
    with Run.open(path) as run:
        assert run.config.curate.tasks == 6
