"""Prompts: Markdown files with Jinja fields, one folder a profile, rendered into chats.

    prompts = Prompts.load("pocket")
    messages = prompts.executor(task=…, skills=…, observation=…, admissible=…, turns=[])

A folder holds `executor.system.md`, `executor.user.md`, `curator.system.md`, `curator.user.md`, and `curator.veto.md`, one
vetoed edit as the curator is told of it. What the fields hold comes from models, people and files, so chat control tokens
inside a field are broken up and cannot end a turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import jinja2
import msgspec

from engine.config import ConfigError
from engine.core.events import Veto
from engine.models.base import Message


class Turn(msgspec.Struct, frozen=True):
    """One executor turn: its thought, its action, what the world answered, and whether the action was invalid."""

    thought: str
    action: str
    observation: str
    invalid_action: bool


class SkillShown(msgspec.Struct, frozen=True):
    """A skill as it stands in a prompt."""

    name: str
    description: str
    body: str


class Prompts:
    """The templates of one folder of `engine/agents/prompts`."""

    def __init__(self, environment: jinja2.Environment) -> None:
        self._environment = environment

    @classmethod
    def load(cls, name: str) -> Prompts:
        """The prompts called `name`. Raises `ConfigError` when there are none."""
        folder = resources.files(__package__) / "prompts"
        known = sorted(item.name for item in folder.iterdir() if item.is_dir())
        if name not in known:
            raise ConfigError(f"there are no prompts called {name!r}; there are: {', '.join(known)}")
        files = {item.name: item.read_text("utf-8") for item in (folder / name).iterdir() if item.name.endswith(".md")}
        environment = jinja2.Environment(
            loader=jinja2.DictLoader(files),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_inert,
        )
        environment.filters["by_verb"] = by_verb
        return cls(environment)

    def executor(
        self,
        *,
        task: str,
        skills: Sequence[SkillShown],
        observation: str,
        admissible: Sequence[str],
        turns: Sequence[Turn],
        history: int = 3,
        briefing: str = "",
    ) -> list[Message]:
        """The chat of one executor turn; `turns` are all taken so far, of which the last `history` are quoted.

        A `briefing` of "" leaves no trace in the prompt.
        """
        tried = {turn.action for turn in turns}
        return self._chat(
            "executor",
            task=task,
            skills=skills,
            observation=observation,
            admissible=admissible,
            untried=[action for action in admissible if action not in tried],
            turns=turns,
            history=list(turns[-history:]) if history else [],
            briefing=briefing,
        )

    def curator(
        self,
        *,
        task: str,
        skills: Sequence[SkillShown],
        vetoes: Sequence[Veto],
        opening: str,
        turns: Sequence[Turn],
        result: str,
    ) -> list[Message]:
        """The chat of one curation decision."""
        quoted = [self.veto(veto) for veto in vetoes]
        return self._chat(
            "curator", task=task, skills=skills, vetoes=quoted, opening=opening, turns=turns, result=result
        )

    def veto(self, veto: Veto) -> str:
        """A vetoed edit as the curator's chat quotes it."""
        return self._environment.get_template("curator.veto.md").render(veto=veto).strip()

    def _chat(self, role: str, **fields: Any) -> list[Message]:
        system = self._environment.get_template(f"{role}.system.md").render(fields).strip()
        user = self._environment.get_template(f"{role}.user.md").render(fields).strip()
        messages = [Message("system", system)] if system else []
        return [*messages, Message("user", user)]


def by_verb(actions: Iterable[str], separator: str = ", ") -> str:
    """Actions grouped by their first word, one group a line: "go: box, rack". Shorter than a list, and as complete."""
    groups: dict[str, list[str]] = {}
    for action in actions:
        verb, _, rest = action.partition(" ")
        groups.setdefault(verb, []).append(rest)
    return "\n".join(f"{verb}: {separator.join(rests)}".rstrip(": ") for verb, rests in groups.items())


def _inert(value: Any) -> Any:
    """A field's value with chat control tokens broken up."""
    return value.replace("<|", "< |") if isinstance(value, str) else value
