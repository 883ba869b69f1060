"""How fast the audit is, and what it finds in real skills.

    python -m tests.benchmarks.audit [--skills ../shared/data/skills/skills-sample.jsonl.xz] [--show RULE] [--hostile]

Prints, for all files of the sample: skills a second, how many files and lines each rule finds, and the time of the index of
near-identical skills at several sizes. `--show` prints what a rule found, to judge it by eye. `--hostile` audits megabytes
made to be slow.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from collections import Counter, defaultdict
from pathlib import Path

from engine.core.text import printable
from engine.skills import Skill
from engine.skills.audit import Context, DuplicateIndex, Finding, audit

SAMPLE = Path(__file__).parents[3] / "shared/data/skills/skills-sample.jsonl.xz"
SIZES = (100, 1_000, 5_000)
MEGABYTE = 1_000_000
HOSTILE = (
    "a", " ", "\n", "\\\n", "curl ", "curl -x ; ", "ignore all ", "send your api keys ", "bash -c ", "rm -r -", "dd of=",
    "git push a b c d ", "pip install --a ", "](../", "~/", "/home/a/", "A1b", "ff", "'", "`", "secret:`", "secret='",
    "sk-T3BlbkFJ", "eyJa.a.", "aws key'", "-----BEGIN RSA PRIVATE KEY-----\n", "mug 1 ", "0-", "\u0301\u0327", "\ufdfa",
    "\u200b", "\u202e", "\x00", "iex (", "socat ", "SGVsbG8gdGhlcmUsIG15IGZyaWVuZCE ",
)  # fmt: skip


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skills", type=Path, default=SAMPLE, help="JSON lines of path and text, xz-compressed")
    parser.add_argument("--show", metavar="RULE", help="print every finding of this rule")
    parser.add_argument("--hostile", action="store_true", help="audit megabytes made to be slow")
    options = parser.parse_args()
    skills = read(options.skills)
    print(f"{len(skills):,} skills, {sum(len(skill.text) for skill in skills.values()):,} characters")
    rules(skills, options.show)
    for size in (*SIZES, len(skills)):
        duplicates(dict(list(skills.items())[:size]))
    if options.hostile:
        for piece in HOSTILE:
            hostile(piece)


def read(path: Path) -> dict[str, Skill]:
    """The skills of the sample by their paths."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["path"]: Skill.parse(row["text"]) for row in rows}


def rules(skills: dict[str, Skill], show: str | None) -> None:
    """Audit every skill by itself; print the speed and what each rule found."""
    audit("")
    began = time.perf_counter()
    found = {path: audit(skill) for path, skill in skills.items()}
    seconds = time.perf_counter() - began
    print(f"audit: {len(skills) / seconds:,.0f} skills/s, {1000 * seconds / len(skills):.2f} ms a skill")
    worst = Counter(next((s for s in ("danger", "warning", "info") if s in kinds(f)), "none") for f in found.values())
    print("files by their worst finding: " + ", ".join(f"{name} {count:,}" for name, count in worst.most_common()))
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    lines: Counter[tuple[str, str]] = Counter()
    for path, findings in found.items():
        for finding in findings:
            files[finding.rule, finding.severity].add(path)
            lines[finding.rule, finding.severity] += 1
            if finding.rule == show:
                print(f"  {path}:{finding.line}: {finding.message} << {excerpt(skills[path], finding)}")
    for rule, severity in sorted(files):
        print(f"  {rule:<20} {severity:<8} {len(files[rule, severity]):>5} files {lines[rule, severity]:>6} lines")


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.severity for finding in findings}


def excerpt(skill: Skill, finding: Finding) -> str:
    return printable(skill.text.split("\n")[finding.line - 1].strip(), 160)


def duplicates(skills: dict[str, Skill]) -> None:
    """Build the index of near-identical skills and ask it about each."""
    began = time.perf_counter()
    index = DuplicateIndex.of(skills)
    built = time.perf_counter()
    index.follow(skills)
    followed = time.perf_counter()
    alike, slowest = 0, 0.0
    for path, skill in skills.items():
        start = time.perf_counter()
        alike += bool(index.near(skill, 0.8, {path}))
        slowest = max(slowest, time.perf_counter() - start)
    asked = time.perf_counter() - followed
    print(
        f"duplicates among {len(skills):,}: built in {built - began:.2f} s, followed in {1000 * (followed - built):.1f} ms, "
        f"asked in {1000 * asked / len(skills):.2f} ms (slowest {1000 * slowest:.0f} ms); {alike:,} have one"
    )


def hostile(piece: str) -> None:
    """Audit a megabyte of one piece again and again."""
    text = piece * (MEGABYTE // len(piece))
    began = time.perf_counter()
    count = len(audit(Skill.parse(text), context=Context(seen=text[: MEGABYTE // 10])))
    print(f"hostile {piece!a:<40} {time.perf_counter() - began:6.2f} s {count:>4} findings")


if __name__ == "__main__":
    main()
