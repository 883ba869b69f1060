"""The prompts of a run, from its configuration, and what the log gets of them at a start.

for event in noted(run, config):         # a `PromptsUsed` where they are new, and a `Notice` where they have changed
    writer.emit(event)
"""

from __future__ import annotations

import hashlib

from engine.agents.judges.registry import JUDGES, SUCCESS_JUDGES, asks_judge_model
from engine.agents.prompts.registry import CURATOR, EXECUTOR, chat_files, prompt_texts
from engine.config import Config
from engine.core.errors import ConfigError
from engine.core.events import AnyEvent, Notice, PromptsUsed
from engine.core.parts import kind_of
from engine.environments.registry import environment_kind
from engine.models.registry import load_vocabulary
from engine.models.settings import ModelSettings
from engine.runs.directory import Run
from engine.runs.prompts import last_used, sentence, texts


def noted(run: Run, config: Config) -> list[AnyEvent]:
    """What a start logs of its prompts: nothing where they are those of the last start. Loads tokenizers, which may take
    seconds."""
    now, before = used(config), last_used(run)
    if before is not None and texts(before) == texts(now):
        return []
    changed = sentence(before, now) if before is not None else ""
    return [now, Notice("warning", changed)] if changed else [now]


def used(config: Config) -> PromptsUsed:
    """The prompts and chat templates of `config`. Raises `ConfigError` where there are no prompts of a name."""
    prompts = {
        name.replace(".", "/", 1): text
        for reference, files in _folders(config)
        for name, text in prompt_texts(reference).items()
        if name in files
    }
    templates = _templates(config)
    named = texts(PromptsUsed(prompts, templates, {}))
    return PromptsUsed(
        prompts, templates, {name: hashlib.sha256(text.encode()).hexdigest() for name, text in named.items()}
    )


def _folders(config: Config) -> list[tuple[str, tuple[str, ...]]]:
    """The folders of prompts that a run uses, each with the files that it uses of it."""
    found = [
        (config.executor.prompts or environment_kind(config.environment).prompts, EXECUTOR),
        (config.curator.prompts, CURATOR),
    ]
    for judge in (JUDGES.load(kind_of(config.judge)), SUCCESS_JUDGES.load(kind_of(config.success_judge))):
        if judge.prompts:
            found.append((judge.prompts, tuple(name for role in judge.roles for name in chat_files(role))))
    return found


def _templates(config: Config) -> dict[str, str]:
    """The chat template of each role's model; "" where only its server knows it."""
    judges_success = environment_kind(config.environment).judges_success
    asked = asks_judge_model(config.judge, config.success_judge, judges_success=judges_success)
    sections = {role: config.model_of(role) for role in ("executor", "curator", *(("judge",) if asked else ()))}
    known: list[tuple[ModelSettings, str]] = []
    templates = {}
    for role, settings in sections.items():
        template = next((text for its, text in known if its == settings), None)
        if template is None:
            template = _template(settings)
            known.append((settings, template))
        templates[role] = template
    return templates


def _template(settings: ModelSettings) -> str:
    try:
        template = load_vocabulary(settings).chat_template
    except ConfigError:  # a backend without a tokenizer
        return ""
    if isinstance(template, dict):  # several by name, of which a chat without documents uses this one
        template = template.get("default")
    return template or ""
