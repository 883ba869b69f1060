"""What only reads a skill repository: `list`, `show`, `search`, `check`, `audit`, `stats`."""

from __future__ import annotations

import argparse

import msgspec

from engine.cli.common import Commands, add_command, lines, positive, print_json
from engine.cli.skills.history import print_place
from engine.cli.skills.target import open_repo, policy_of, root_of, skill_named, texts_beside
from engine.core.text import printable
from engine.review.settings import AuditSettings
from engine.skills import Finding, SkillRepo
from engine.skills.audit import Finding as AuditFinding

WIDTH = 100
SEVERITIES = ("info", "warning", "danger")


class Listed(msgspec.Struct, frozen=True):
    """A skill in a list: `words` of its file, `findings` that checking has, and the files beside its own."""

    name: str
    description: str
    words: int
    findings: int
    files: list[str]


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


def add_actions(actions: Commands) -> None:
    add_command(actions, "list", "list the skills", overview)
    show = add_command(actions, "show", "print one skill's file", _show)
    show.add_argument("name", metavar="NAME")
    search = add_command(actions, "search", "find skills by BM25, as the executor does", _search)
    search.add_argument("query", nargs="+", metavar="WORD")
    search.add_argument("-k", type=positive, default=5, help="how many at most (5)")
    check = add_command(actions, "check", "check the format; exit code 1 if a skill is not valid", _check)
    check.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    audit = add_command(actions, "audit", "look for what is hidden, secret, dangerous or copied", _audit)
    audit.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    audit.add_argument(
        "--fail-on", choices=[*SEVERITIES, "never"], default="danger", help="from which severity on to exit with 1"
    )
    add_command(actions, "stats", "count skills, findings and edits, step by step", _stats)


def overview(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    listed = [
        Listed(name, skill.description, len(skill.text.split()), len(skill.findings), list(repo.files(name)))
        for name, skill in repo.items()
    ]
    if options.json:
        print_json(listed)
        return 0
    wide = max([len(each.name) for each in listed], default=0)
    for each in listed:
        marks = [f"{each.findings} findings"] * bool(each.findings) + [f"{len(each.files)} files"] * bool(each.files)
        mark = f"  ({', '.join(marks)})" if marks else ""
        print(f"{printable(each.name):<{wide}}  {each.words:>6,} words  {printable(each.description, WIDTH)}{mark}")
    print(f"{len(listed):,} skills in {repo.path}")
    return 0


def _show(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    skill = skill_named(repo, options.name)
    files = list(repo.files(options.name))
    if options.json:
        print_json(Shown(options.name, skill.description, skill.text, list(skill.findings), files))
        return 0
    print(lines(skill.text).rstrip("\n"))
    for file in files:
        print(printable(f"beside it: {file}"))
    for finding in skill.findings:
        print(_line(options.name, finding))
    return 0


def _search(options: argparse.Namespace) -> int:
    from engine.skills import SkillIndex

    repo = open_repo(options)
    results = SkillIndex.open(repo).search(" ".join(options.query), options.k)
    found = [Found(name, score, repo[name].description) for name, score in results]
    if options.json:
        print_json(found)
        return 0
    for each in found:
        print(f"{each.score:8.3f}  {printable(each.name)}  {printable(each.description, WIDTH)}")
    if not found:
        print("no skill has a word of this query")
    return 0


def _check(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    skills = [(name, skill_named(repo, name)) for name in options.names or repo]
    checked = [Checked(name, skill.valid, list(skill.findings)) for name, skill in skills]
    valid = sum(each.valid for each in checked)
    if options.json:
        print_json(checked)
    else:
        for each in checked:
            for finding in each.findings:
                print(_line(each.name, finding))
        print(f"{valid:,} of {len(checked):,} skills are valid")
    print_place(root_of(options.repo))
    return 0 if valid == len(checked) else 1


def _line(name: str, finding: Finding) -> str:
    return printable(f"{name}:{finding.line}: {finding.severity}: {finding.rule}: {finding.message}", 400)


def _audit(options: argparse.Namespace) -> int:
    repo = open_repo(options)
    audited = _audited(repo, options.names, policy_of(options.repo))
    found = [finding for findings in audited.values() for finding in findings]
    if options.json:
        print_json(audited)
    else:
        for name, findings in audited.items():
            for each in findings:
                print(printable(f"{name}:{each.line}: {each.severity}: {each.rule}: {each.message}", 400))
        counts = ", ".join(f"{sum(each.severity == s for each in found)} {s}" for s in reversed(SEVERITIES))
        print(f"{len(audited):,} files audited: {counts}")
    failing = SEVERITIES[SEVERITIES.index(options.fail_on) :] if options.fail_on != "never" else ()
    return 1 if any(each.severity in failing for each in found) else 0


def _audited(repo: SkillRepo, names: list[str], policy: AuditSettings) -> dict[str, list[AuditFinding]]:
    """The findings by skill, those in a file beside it by `skill/file`."""
    from engine.skills.audit import audit, audit_repo

    for name in names:
        skill_named(repo, name)
    audited: dict[str, list[AuditFinding]] = {}
    for name, findings in audit_repo(repo, similarity=policy.similarity).items():
        if not names or name in names:
            audited[name] = findings
            audited |= {f"{name}/{file}": audit(text) for file, text in texts_beside(repo, name)}
    return audited


def _stats(options: argparse.Namespace) -> int:
    from engine.skills import History
    from engine.skills.history.stats import stats

    root = root_of(options.repo)
    found = stats(SkillRepo.open(root), History.existing(root))
    if options.json:
        print_json(found)
        return 0
    print(f"skills    {found.skills:,}, {found.valid:,} valid, {found.files:,} files beside them")
    print(f"bytes     {found.bytes.total:,} in all, {found.bytes.median:,.0f} median, {found.bytes.largest:,} largest")
    print(f"words     {found.words.total:,} in all, {found.words.median:,.0f} median, {found.words.largest:,} largest")
    print(f"commits   {found.commits:,}")
    tables = {"findings": found.findings, "edits": found.operations, "proposers": found.proposers}
    for title, counts in {**tables, "reviewers": found.reviewers, "outcomes": found.outcomes}.items():
        if counts:
            print(printable(f"{title:<9} {', '.join(f'{key} {count:,}' for key, count in counts.items())}"))
    for step in found.steps:
        done = ", ".join(f"{count} {kind}" for kind, count in step.operations.items())
        print(printable(f"{step.run} step {step.step}: {done}; then {step.skills:,} skills, {step.bytes:,} bytes"))
    return 0
