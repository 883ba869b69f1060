"""Real skill files: all of them open, with the number of each finding and the time; forks and edits in memory.

    python -m tests.benchmarks.skill_files --skills ../shared/data/skills/skills-sample.jsonl.xz [--json]

Each file is parsed, written back (byte for byte, or the benchmark fails), renamed, and made valid as by an export. If
skills-ref is installed, its verdict is compared with ours. Then all files are written to a disk and opened as a repository.
Every exception ends the benchmark.
"""

from __future__ import annotations

import argparse
import json
import lzma
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from engine.skills import Insert, Skill, SkillRepo, Update
from engine.skills.exchange.normalize import normalize

FORKED = 1_000
ROUNDS = 200


def read(path: Path) -> list[tuple[str, str]]:
    """Folder and text of each file of a sample."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [(PurePosixPath(record["path"]).parent.name, record["text"]) for record in records]


def parse(files: list[tuple[str, str]]) -> tuple[list[Skill], dict[str, float]]:
    """The skills, and what parsing them took."""
    began = time.perf_counter()
    skills = [Skill.parse(text, name=folder) for folder, text in files]
    seconds = time.perf_counter() - began
    for skill, (_, text) in zip(skills, files, strict=True):
        if skill.write() != text or not text.endswith(skill.body):
            raise SystemExit(f"{skill.name}: the file is not written back as it was")
    size = sum(len(text.encode()) for _, text in files)
    return skills, {
        "files": len(files),
        "files_per_second": len(files) / seconds,
        "mb_per_second": size / seconds / 1e6,
    }


def verdicts(skills: list[Skill]) -> dict[str, int]:
    """How many are valid by us, valid after an export, and judged otherwise by skills-ref (-1 where that is absent)."""
    made = [normalize(skill, skill.name) for skill in skills]
    return {
        "valid": sum(skill.valid for skill in skills),
        "valid_after_export": sum(one.text is not None for one in made),
        "errors": sum(bool(skill.errors) for skill in skills),
        "disagreements": disagreements(skills) if find_spec("skills_ref") else -1,
    }


def disagreements(skills: list[Skill]) -> int:
    import skills_ref

    count = 0
    with tempfile.TemporaryDirectory() as root:
        for skill in skills:
            file = Path(root) / skill.name / "SKILL.md"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(skill.text.encode())
            count += (skills_ref.validate(file.parent) == []) != skill.valid
    return count


def opened(skills: list[Skill]) -> dict[str, float]:
    """Opening them all as one repository, from a disk whose pages are cached."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number, skill in enumerate(skills):
            file = root / f"{skill.name}-{number}" / "SKILL.md"
            file.parent.mkdir()
            file.write_bytes(skill.text.encode())
        began = time.perf_counter()
        repo = SkillRepo.open(root)
        seconds = time.perf_counter() - began
    if len(repo) != len(skills):
        raise SystemExit(f"{len(repo)} of {len(skills)} skills were opened")
    return {"open_seconds": seconds, "opened_per_second": len(skills) / seconds}


def forks(skills: list[Skill]) -> dict[str, float]:
    """Milliseconds of a fork of `FORKED` skills, and of an edit of it."""
    sound = [skill for skill in skills if not skill.errors][:FORKED]
    repo = SkillRepo({f"skill-{number}": skill.renamed(f"skill-{number}") for number, skill in enumerate(sound)})
    new = Skill.make("new", "Use when something new is wanted.", "Line.\n" * 50).text
    changed = repo["skill-0"].text + "One line more.\n"
    return {
        "forked_skills": len(repo),
        "fork_ms": median_ms(repo.fork),
        "insert_ms": median_ms(lambda: Insert("new", new).apply(repo.fork())),
        "update_ms": median_ms(lambda: Update("skill-0", None, changed).apply(repo.fork())),
    }


def median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skills", type=Path, required=True, help="a sample of skill files, .jsonl.xz")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    files = read(options.skills)
    skills, parsed = parse(files)
    findings = Counter(code for skill in skills for code in {finding.rule for finding in skill.findings})
    measured: dict[str, Any] = {**parsed, **verdicts(skills), **opened(skills), **forks(skills)}
    if options.json:
        print(json.dumps({**measured, "findings": dict(findings)}))
        return
    for key, value in measured.items():
        print(f"{key.replace('_', ' '):<28}{value:>12,.{0 if isinstance(value, int) or value >= 100 else 3}f}")
    print(f"\n{'finding':<28}{'files':>12}{'of all':>9}")
    for code, count in findings.most_common():
        print(f"{code:<28}{count:>12,}{count / len(skills):>9.1%}")


if __name__ == "__main__":
    main()
