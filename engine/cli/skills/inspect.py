"""What only reads a skill repository: `list`, `show`, `search`, `check`, `stats`."""

from __future__ import annotations

import argparse

import msgspec

from engine.cli.common import Commands, add_command, lines, positive, print_json
from engine.cli.skills.history import print_place
from engine.cli.skills.target import (
    add_all,
    found_name,
    is_empty,
    open_repo,
    print_left_out,
    root_of,
)
from engine.core.output import say
from engine.core.text import counted, printable
from engine.skills import Finding, SkillRepo
from engine.skills.repo.rule import SKILL_FILE, LeftOut, decoded_name

WIDTH = 100


class Listed(msgspec.Struct, frozen=True):
    """A skill in a list: `words` of its file at `place`, `findings` that checking has, and the files beside its own."""

    name: str
    place: str
    description: str
    words: int
    findings: int
    files: list[str]


class Overview(msgspec.Struct, frozen=True):
    """The skills of a folder, and what could be taken for a skill and is none."""

    skills: list[Listed]
    left_out: tuple[LeftOut, ...]


class Shown(msgspec.Struct, frozen=True):
    """A whole skill; `text` is its file."""

    name: str
    description: str
    text: str
    findings: list[Finding]
    files: list[str]


class Found(msgspec.Struct, frozen=True):
    """A skill that a query found, with its BM25 score."""

    name: str
    score: float
    description: str


class Checked(msgspec.Struct, frozen=True):
    """Whether a skill is a valid Agent Skill, and what is wrong with it."""

    name: str
    valid: bool
    findings: list[Finding]


class Search(msgspec.Struct, frozen=True):
    """What a query found among the skills of a folder, and what could be taken for a skill and is none."""

    found: list[Found]
    left_out: tuple[LeftOut, ...]


class Check(msgspec.Struct, frozen=True):
    """The checked skills of a folder, and what could be taken for a skill and is none."""

    skills: list[Checked]
    left_out: tuple[LeftOut, ...]


def add_actions(actions: Commands) -> None:
    add_all(add_command(actions, "list", "list the skills", overview))
    show = add_command(actions, "show", "print one skill's file", _show)
    show.add_argument("name", metavar="NAME")
    search = add_command(actions, "search", "find skills by BM25, as the executor does", _search)
    search.add_argument("query", nargs="+", metavar="WORD")
    search.add_argument("-k", type=positive, default=5, help="how many at most (5)")
    check = add_command(actions, "check", "check the format; exit code 1 if a skill is not valid", _check)
    check.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    for action in (search, check):
        add_all(action)
    add_command(actions, "stats", "count skills, findings and edits, step by step", _stats)


def overview(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    listed = [
        Listed(
            name,
            decoded_name(repo.place(name) or ""),
            skill.description,
            len(skill.text.split()),
            len(skill.findings),
            list(repo.files(name)),
        )
        for name, skill in repo.items()
    ]
    if options.json:
        print_json(Overview(listed, repo.left_out))
        return 0 if listed else 1
    wide = max([len(each.name) for each in listed], default=0)
    for each in listed:
        marks = [counted(each.findings, "finding")] * bool(each.findings)
        marks += [counted(len(each.files), "file")] * bool(each.files)
        marks += [f"at {each.place}"] * (each.place not in (f"{each.name}/{SKILL_FILE}", f"{each.name}.md"))
        mark = printable(f"  ({', '.join(marks)})") if marks else ""
        say(f"{printable(each.name):<{wide}}  {each.words:>6,} words  {printable(each.description, WIDTH)}{mark}")
    print_left_out(repo.left_out, options)
    if is_empty(repo):
        return 1
    say(printable(f"{counted(len(listed), 'skill')} in {repo.path}"))
    return 0


def _show(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    name = found_name(repo, options.name)
    skill = repo[name]
    files = list(repo.files(name))
    if options.json:
        print_json(Shown(name, skill.description, skill.text, list(skill.findings), files))
        return 0
    say(lines(skill.text).rstrip("\n"))
    for file in files:
        say(printable(f"beside it: {file}"))
    for finding in skill.findings:
        say(_line(name, finding))
    return 0


def _search(options: argparse.Namespace) -> int:
    from engine.skills import SkillIndex

    repo = open_repo(options)
    results = SkillIndex.open(repo).search(" ".join(options.query), options.k)
    found = [Found(name, score, repo[name].description) for name, score in results]
    if options.json:
        print_json(Search(found, repo.left_out))
        return 0 if found else 1
    for each in found:
        say(f"{each.score:8.3f}  {printable(each.name)}  {printable(each.description, WIDTH)}")
    print_left_out(repo.left_out, options)
    if not found and not is_empty(repo):
        say("no skill has a word of this query")
    return 0 if found else 1


def _check(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    names = [found_name(repo, name) for name in options.names] or list(repo)
    checked = [Checked(name, repo[name].valid, list(repo[name].findings)) for name in names]
    valid = sum(each.valid for each in checked)
    if options.json:
        print_json(Check(checked, repo.left_out))
    else:
        for each in checked:
            for finding in each.findings:
                say(_line(each.name, finding))
        print_left_out(repo.left_out, options)
        if not is_empty(repo):
            say(f"{valid:,} of {counted(len(checked), 'skill')} {'is' if len(checked) == 1 else 'are'} valid")
    print_place(root_of(options.repo))
    return 0 if checked and valid == len(checked) else 1


def _line(name: str, finding: Finding) -> str:
    return printable(f"{name}:{finding.line}: {finding.severity}: {finding.rule}: {finding.message}", 400)


def _stats(options: argparse.Namespace) -> int:
    from engine.skills import History
    from engine.skills.history.stats import stats

    root = root_of(options.repo)
    found = stats(SkillRepo.open(root), History.existing(root))
    if options.json:
        print_json(found)
        return 0
    left = f", {found.left_out:,} left out" if found.left_out else ""
    say(f"skills    {found.skills:,}, {found.valid:,} valid, {found.files:,} files beside them{left}")
    say(f"bytes     {found.bytes.total:,} in all, {found.bytes.median:,.0f} median, {found.bytes.largest:,} largest")
    say(f"words     {found.words.total:,} in all, {found.words.median:,.0f} median, {found.words.largest:,} largest")
    say(f"commits   {found.commits:,}")
    tables = {"findings": found.findings, "edits": found.operations, "proposers": found.proposers}
    for title, counts in {**tables, "reviewers": found.reviewers, "outcomes": found.outcomes}.items():
        if counts:
            say(printable(f"{title:<9} {', '.join(f'{key} {count:,}' for key, count in counts.items())}"))
    for step in found.steps:
        done = ", ".join(f"{count} {kind}" for kind, count in step.operations.items())
        say(printable(f"{step.run} step {step.step}: {done}; then {step.skills:,} skills, {step.bytes:,} bytes"))
    return 0
