"""Prompts: Markdown files with Jinja fields, rendered into chats.

    prompts = Prompts.load("pocket")             # a folder that ships; "package:folder" names one of an installed package
    messages = prompts.executor(task=…, skills=…, observation=…, actions=…, turns=[])

A chat of the role `R` is made of `R.system.md` and `R.user.md`. The executor and the curator have fields of their own
(`curator.veto.md` is one vetoed edit as the curator's chat quotes it). A part that a package adds names its own roles:

    messages = Prompts.load("strict:prompts").chat("judge", task=…, edits=[…])

Models, people and files write what the fields hold, so chat control tokens inside a field are broken up and cannot end a
turn. The filter `quoted` marks each line of a field, so that no text can end its own quotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
import msgspec

from engine.agents.prompts.registry import prompt_texts
from engine.core.errors import ConfigError
from engine.core.events import Veto
from engine.models.base import Message


class Turn(msgspec.Struct, frozen=True):
    """One executor turn: its thought, its action, the environment's answer, and whether the action was invalid."""

    thought: str
    action: str
    observation: str
    invalid_action: bool


class SkillShown(msgspec.Struct, frozen=True):
    """A skill as a prompt quotes it."""

    name: str
    description: str
    body: str


class Prompts:
    """The templates of one folder; `reference` names it."""

    def __init__(self, reference: str, environment: jinja2.Environment) -> None:
        self.reference = reference
        self._environment = environment

    @classmethod
    def load(cls, reference: str) -> Prompts:
        """The prompts that ship under this name, or those that "package:folder" names.

        Raises `ConfigError` where there are none, or where one is no template.
        """
        return cls.of(prompt_texts(reference), reference)

    @classmethod
    def of(cls, files: Mapping[str, str], reference: str) -> Prompts:
        """The prompts of these texts, by the names of their files. Raises `ConfigError` where one is no template."""
        environment = jinja2.Environment(
            loader=jinja2.DictLoader(dict(files)),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_inert,
        )
        environment.filters["by_verb"] = by_verb
        environment.filters["quoted"] = quoted
        for name in files:
            try:
                environment.get_template(name)
            except jinja2.TemplateSyntaxError as error:
                raise ConfigError(f"the prompts {reference!r}: {name}, line {error.lineno}: {error.message}") from error
        return cls(reference, environment)

    def executor(
        self,
        *,
        task: str,
        skills: Sequence[SkillShown],
        observation: str,
        actions: Sequence[str] | None,
        turns: Sequence[Turn],
        history: int = 3,
        briefing: str = "",
    ) -> list[Message]:
        """The chat of one executor turn; `turns` are all taken so far, of which the last `history` are quoted.

        `actions` are the legal ones, None where any text is. The template's field `untried` lists those that no turn took.
        A `briefing` of "" leaves no trace in the prompt.
        """
        tried = {turn.action for turn in turns}
        return self.chat(
            "executor",
            task=task,
            skills=skills,
            observation=observation,
            actions=actions,
            untried=None if actions is None else [action for action in actions if action not in tried],
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
        return self.chat(
            "curator", task=task, skills=skills, vetoes=quoted, opening=opening, turns=turns, result=result
        )

    def veto(self, veto: Veto) -> str:
        """A vetoed edit as the curator's chat quotes it."""
        return self._text("curator.veto.md", veto=veto)

    def chat(self, role: str, **fields: Any) -> list[Message]:
        """The chat of `role`: its system message, unless that is empty, and its user message, with `fields` in both.

        Raises `ConfigError` for a template that is not there, or that names a field that is none of `fields`.
        """
        system, user = (self._text(f"{role}.{part}.md", **fields) for part in ("system", "user"))
        messages = [Message("system", system)] if system else []
        return [*messages, Message("user", user)]

    def _text(self, name: str, **fields: Any) -> str:
        """One template, rendered. Raises `ConfigError` for a template that is not there, or that names an unknown field."""
        try:
            return self._environment.get_template(name).render(fields).strip()
        except jinja2.TemplateNotFound as error:
            raise ConfigError(f"the prompts {self.reference!r} have no {name}") from error
        except jinja2.UndefinedError as error:
            known = ", ".join(fields)
            raise ConfigError(
                f"the prompts {self.reference!r}: {name}: {error.message}; its fields: {known}"
            ) from error


def by_verb(actions: Iterable[str], separator: str = ", ") -> str:
    """Actions grouped by their first word, one group a line: "go: box, rack". Shorter than a list, and as complete."""
    groups: dict[str, list[str]] = {}
    for action in actions:
        verb, _, rest = action.partition(" ")
        groups.setdefault(verb, []).append(rest)
    return "\n".join(f"{verb}: {separator.join(rests)}".rstrip(": ") for verb, rests in groups.items())


def quoted(text: str) -> str:
    """Each line of `text` after `| `, whatever ends a line in it; an empty text is one such line."""
    return "\n".join(f"| {row}" for row in text.splitlines() or [""])


def _inert(value: Any) -> Any:
    """A field's value with chat control tokens broken up."""
    return value.replace("<|", "< |") if isinstance(value, str) else value
