"""`models check NAME` and `models check --profile P`: try out a model, or those of a profile's roles."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence

import msgspec

from engine.cli import exit_codes
from engine.cli.common import CommandError, Commands, UsageError, add_command, add_config_options, load, print_json
from engine.core.output import say, show_progress
from engine.core.parts import kind_of
from engine.core.paths import user_path
from engine.core.refusals import nearest
from engine.core.text import printable
from engine.models.base import Message
from engine.models.catalogue import store
from engine.models.catalogue.checking import Trait, Trial, traits
from engine.models.catalogue.known import KNOWN
from engine.models.local.settings import LocalModelSettings
from engine.models.settings import ModelSettings

MARKS = {"ok": "✓", "warning": "!", "fault": "✗", "unmeasured": "?"}
PROMPTS = "smol"
"""The curator's prompts for a model that is named without a profile; the pocket model reads only its own."""


class Checked(msgspec.Struct, frozen=True):
    """A model, the roles that it is checked for, and what was found."""

    model: ModelSettings
    roles: list[str]
    findings: list[Trait]


def add_check(actions: Commands) -> None:
    check = add_command(actions, "check", "load a model and try it out", _check, json=True)
    check.add_argument("model", nargs="?", metavar="NAME", help="a name of the list, a folder, or a GGUF file")
    add_config_options(check)


def _check(options: argparse.Namespace) -> int:
    checked = asyncio.run(_all(_models(options), options))
    show_progress("")
    if options.json:
        print_json(checked)
    failed = any(finding.state == "fault" for each in checked for finding in each.findings)
    return exit_codes.FAILED if failed else exit_codes.DONE


def _models(options: argparse.Namespace) -> list[tuple[ModelSettings, list[str], str]]:
    """Each distinct model, with its roles and the curator's prompts."""
    if options.model is not None:
        if options.profile is not None or options.config is not None or options.set:
            raise UsageError("give the NAME of a model, or a profile whose models are meant, not both")
        _check_on_this_machine(options.model)
        prompts = "pocket" if options.model == "pocket" else PROMPTS
        return [(LocalModelSettings(weights=options.model).absolute(), [], prompts)]
    if options.profile is None and options.config is None:
        raise UsageError(
            "which model? give the NAME of one (skillos-engine models list), or --profile for those of a run"
        )
    config = load(options, options.set)
    found: list[tuple[ModelSettings, list[str], str]] = []
    for role in ("curator", "executor", "judge"):
        settings = config.model_of(role).absolute()
        same = next((roles for model, roles, _ in found if model == settings), None)
        if same is not None:
            same.append(role)
        else:
            found.append((settings, [role], config.curator.prompts))
    return found


def _check_on_this_machine(name: str) -> None:
    """Raises `CommandError` for a model that would have to be downloaded, which only `add` may do."""
    from engine.models.catalogue.listing import in_hub_cache

    if store.is_name(name) or os.path.lexists(user_path(name)) or in_hub_cache(name) is not None:
        return
    known = [*KNOWN, *store.names()]
    raise CommandError(
        f"there is no model {name!r} on this machine{nearest(name, known)}; skillos-engine models list shows what there is"
    )


async def _all(models: Sequence[tuple[ModelSettings, list[str], str]], options: argparse.Namespace) -> list[Checked]:
    checked = []
    for settings, roles, prompts in models:
        if not options.json:
            what = getattr(settings, "weights", "") or getattr(settings, "model", "") or kind_of(settings)
            say(f"{printable(str(what))} ({kind_of(settings)}){' as ' + ', '.join(roles) if roles else ''}", flush=True)
        found = []
        async for finding in traits(settings, trial(prompts), lambda what: show_progress(f"{what} …")):
            found.append(finding)
            if not options.json:
                show_progress("")
                say(f"  {MARKS[finding.state]} {finding.what:<26} {finding.text}", flush=True)
        checked.append(Checked(settings, roles, found))
    return checked


def trial(prompts: str) -> Trial:
    """A curator's chat about a small task, with the calls that it may answer with."""
    from engine.agents.prompting import Prompts, Turn
    from engine.skills import TOOLS

    turns = [Turn("", "go safe", "The mug is in the safe.", False), Turn("", "take mug", "You have the mug.", False)]
    messages: list[Message] = Prompts.load(prompts).curator(
        task="Get a mug. Some places are shut.",
        skills=[],
        vetoes=[],
        opening="You are in the hall.",
        turns=turns,
        result="succeeded",
    )
    return Trial(messages, TOOLS, read_calls)


def read_calls(text: str) -> tuple[bool, str]:
    """Whether an answer has a call that would be applied, and the answer's calls in one line."""
    from engine.curation.calls import apply_calls
    from engine.skills import SkillRepo, parse_operations

    calls, _ = apply_calls(parse_operations(text), SkillRepo.empty())
    if not calls:
        return False, f"none in the answer: {printable(text, 120)}"
    said = [f"{call.operation} {call.skill}: {call.verdict}{': ' + call.why if call.why else ''}" for call in calls]
    return any(call.verdict == "valid" for call in calls), printable("; ".join(said), 300)
