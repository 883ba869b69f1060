"""The curator's calls: read from what a model wrote, and applied to a repository.

    for call in parse_operations(completion):
        if isinstance(call, Malformed):
            print(call.why)
        else:
            edit = call.apply(repo)          # changes `repo` all or nothing; raises `Refused(why)`

`TOOLS` describes the three calls to a model that takes tool signatures. The published spellings (`new_skill_insert`,
`skill_update`, `skill_delete`) are read as aliases (`method.md` §1).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import msgspec

from engine.core.edit import Edit
from engine.skills.format.names import new_name_problem
from engine.skills.format.skill import Skill
from engine.skills.operations.syntaxes import Broken, RawCall
from engine.skills.operations.tool_calls import read_calls
from engine.skills.repo.repository import Refused, SkillRepo

MAX_CONTENT_BYTES = 65_536


class Insert(msgspec.Struct, frozen=True, tag="insert"):
    """Add a skill; `content` is the whole file, frontmatter and body."""

    kind: ClassVar[Literal["insert"]] = "insert"
    skill_name: str
    content: str

    def apply(self, repo: SkillRepo) -> Edit:
        """Add the skill to `repo`. Raises `Refused`, and then `repo` is unchanged."""
        problem = new_name_problem(self.skill_name)
        if problem is not None:
            raise Refused(problem)
        skill = _checked(self.content, self.skill_name)
        repo.insert(skill)
        return Edit(self.kind, self.skill_name, None, skill.text)


class Update(msgspec.Struct, frozen=True, tag="update"):
    """Rename a skill, replace its whole file, or both. A rename alone changes the name in the frontmatter too."""

    kind: ClassVar[Literal["update"]] = "update"
    skill_name: str
    new_name: str | None = None
    new_content: str | None = None

    def apply(self, repo: SkillRepo) -> Edit:
        """Change the skill in `repo`. Raises `Refused`, and then `repo` is unchanged."""
        if self.skill_name not in repo:
            raise Refused(f"there is no skill {self.skill_name[:80]!r} in the repository")
        before = repo[self.skill_name]
        name = self.skill_name if self.new_name is None else self.new_name
        problem = new_name_problem(name) if name != self.skill_name else None
        if problem is not None:
            raise Refused(f"new_name: {problem}")
        if self.new_content is None and any(finding.rule == "not-utf8" for finding in before.findings):
            raise Refused("the file is not UTF-8, and a rename would lose bytes of it: give its new_content too")
        skill = _checked(before.renamed(name).text if self.new_content is None else self.new_content, name)
        if name == self.skill_name and (self.new_content is None or skill.text == before.text):
            raise Refused("the update changes nothing: give a new_name or a new_content that differs")
        repo.update(self.skill_name, skill)
        return Edit(self.kind, self.skill_name, before.text, skill.text, name if name != self.skill_name else "")


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Remove a skill."""

    kind: ClassVar[Literal["delete"]] = "delete"
    skill_name: str

    def apply(self, repo: SkillRepo) -> Edit:
        """Remove the skill from `repo`. Raises `Refused`, and then `repo` is unchanged."""
        before = repo.get(self.skill_name)
        repo.delete(self.skill_name)
        return Edit(self.kind, self.skill_name, before.text if before else None, None)


Operation = Insert | Update | Delete


class Malformed(msgspec.Struct, frozen=True, tag="malformed"):
    """A call that could not be read: its `text` and `why`.

    `function` is insert, update, delete, or the unknown name; it and `skill_name` are "" where they cannot be read.
    """

    kind: ClassVar[str] = "malformed"
    text: str
    why: str
    function: str = ""
    skill_name: str = ""


def operation_of(edit: Edit) -> Operation:
    """What an edit asks for, so that it can be applied to another repository. What only renames a skill stays a renaming."""
    if edit.after is None:
        return Delete(edit.skill)
    if edit.before is None:
        return Insert(edit.skill, edit.after)
    if edit.new_name and Skill.parse(edit.before, name=edit.skill).renamed(edit.new_name).text == edit.after:
        return Update(edit.skill, edit.new_name)
    return Update(edit.skill, edit.new_name or None, edit.after)


def _checked(content: str, name: str) -> Skill:
    """The skill that `content` is, under `name`. Raises `Refused` where it is too large or not a valid skill file."""
    if len(content) > MAX_CONTENT_BYTES or len(content.encode("utf-8", "replace")) > MAX_CONTENT_BYTES:
        raise Refused(f"the content is larger than {MAX_CONTENT_BYTES:,} bytes")
    skill = Skill.parse(content, name=name)
    if skill.errors:
        raise Refused("; ".join(f"line {finding.line}: {finding.message}" for finding in skill.errors))
    return skill


def parse_operations(text: str) -> list[Operation | Malformed]:
    """Every call that a curator's completion holds, in order; [] where it calls nothing.

    Never raises for what the text contains; takes time linear in its length.
    """
    return [
        _malformed(call.text, call.why) if isinstance(call, Broken) else _operation(call) for call in read_calls(text)
    ]


def _malformed(text: str, why: str, function: str = "", skill_name: str = "") -> Malformed:
    """A malformed call that can be stored: what is no text in it is replaced by question marks."""
    return Malformed(*(part.encode("utf-8", "replace").decode() for part in (text, why, function, skill_name)))


def _operation(call: RawCall) -> Operation | Malformed:
    """The operation that a call asks for, if its function and its arguments are ours."""
    texts = [call.name, *(value for value in call.arguments.values() if isinstance(value, str)), *call.arguments]
    if not all(_encodes(text) for text in texts):
        return _malformed(call.text, "it holds half of a surrogate pair, which is no text")
    named = call.arguments.get("skill_name")
    skill_name = named if isinstance(named, str) else ""
    function = _FUNCTIONS.get(_ALIASES.get(call.name, call.name))
    if function is None:
        why = f"there is no function {call.name[:80]!r}; the functions are {', '.join(_FUNCTIONS)}"
        return _malformed(call.text, why, call.name, skill_name)
    why = _argument_problem(function, call.arguments)
    if why:
        return _malformed(call.text, why, function.kind, skill_name)
    return function(**call.arguments)


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _argument_problem(function: type[Operation], arguments: dict[str, Any]) -> str:
    """What is wrong with the arguments of a call, or ""."""
    known = function.__struct_fields__
    required = known[: len(known) - len(function.__struct_defaults__)]
    for name in required:
        if name not in arguments:
            return f"the argument {name} is missing"
    for name, value in arguments.items():
        if name not in known:
            return f"there is no argument {name[:80]!r}; the arguments are {', '.join(known)}"
        if not isinstance(value, str) and (value is not None or name in required):
            return f"the argument {name} is not text"
    return ""


_FUNCTIONS: Mapping[str, type[Operation]] = MappingProxyType(
    {"insert_skill": Insert, "update_skill": Update, "delete_skill": Delete}
)
_ALIASES: Mapping[str, str] = MappingProxyType(
    {"new_skill_insert": "insert_skill", "skill_update": "update_skill", "skill_delete": "delete_skill"}
)


def _tool(name: str, description: str, required: dict[str, str], optional: dict[str, str]) -> dict[str, Any]:
    """One tool signature in OpenAI's JSON schema form; all arguments are text."""
    properties = {key: {"type": "string", "description": text} for key, text in {**required, **optional}.items()}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS: list[dict[str, Any]] = [
    _tool(
        "insert_skill",
        "Add a new skill to the repository.",
        {
            "skill_name": "A name that no skill has yet: lower-case letters, digits and single hyphens, at most 64.",
            "content": "The whole Markdown file: frontmatter with the same name and a description of when to use the "
            "skill, then the body.",
        },
        {},
    ),
    _tool(
        "update_skill",
        "Change a skill of the repository: replace its file, rename it, or both.",
        {"skill_name": "The present name of the skill."},
        {
            "new_name": "The name it shall have from now on; leave it out to keep the name.",
            "new_content": "The whole new Markdown file, whose frontmatter holds the resulting name; it replaces all "
            "of the old one. Leave it out to keep the file.",
        },
    ),
    _tool(
        "delete_skill",
        "Remove a skill that misleads or repeats another one.",
        {"skill_name": "The name of the skill to remove."},
        {},
    ),
]
