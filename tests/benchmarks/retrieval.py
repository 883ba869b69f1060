"""How fast and how well search finds skills, beside stock rank-bm25 in the same run.

    python -m tests.benchmarks.retrieval --skills ../shared/data/skills/skills-sample.jsonl.xz \\
        --queries ../shared/data/skills/skill-queries.jsonl [--sizes 100,1000,5000,26262,80000] [--json]

Found: the queries that authors wrote for their own skills, against all files of the sample. A query's gold skill is one
path; equal copies of it elsewhere count as wrong. `ours` is `SkillIndex`; `stock` is `rank_bm25.BM25Okapi` as it comes, over
the lower-cased whitespace tokens of the whole file, frontmatter included, with the query cut up alike. Ties are broken by
path in both. Our answers are compared with those of the reference in tests/skills/search, to the last bit.

Fast: at each size, skills of the sample, and beyond its number copies in which a tenth of the body's words are replaced by
words of other skills. An edit is timed with its text at hand, from call to return. A query is the first 200 words of a
body; `common` are the 200 most frequent words, the worst there are. Stock rank-bm25 knows no edits: one is a new build.
"""

from __future__ import annotations

import argparse
import gc
import json
import lzma
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import msgspec
from rank_bm25 import BM25Okapi

from engine.skills import Skill, SkillIndex
from engine.skills.search import saved
from engine.skills.search.index import SMALL
from engine.skills.search.words import count_words
from tests.skills.search.reference import Reference

SIZES = (100, 1_000, 5_000, 26_262, 80_000)
EDITS = 200
QUERIES = 100
STOCK_QUERIES = 3
QUERY_WORDS = 200
COMPARED = 40
REPLACED = 0.1
MARGIN = 0.05


def main() -> None:
    """Measure everything and print it; the exit status says whether recall@1 is as far above stock's as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skills", type=Path, required=True, help="JSON lines of path and text, xz-compressed")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines of query and gold, a path")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many skills to be fast with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    skills = read_skills(options.skills)
    found = quality(skills, read_queries(options.queries))
    speed = {size: timings(skills, size) for size in map(int, options.sizes.split(","))}
    gain = found["ours"]["recall@1"] - found["stock"]["recall@1"]
    if options.json:
        print(json.dumps({"quality": found, "gain": gain, "speed": speed}, indent=2))
    else:
        print(table("", found), table("skills", speed), sep="\n\n")
        print(f"\nrecall@1 is {gain:.3f} above stock's; asked for are {MARGIN}")
    sys.exit(gain < MARGIN)


def read_skills(path: Path) -> dict[str, Skill]:
    """The skills of the sample by path, each under its folder's name."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["path"]: Skill.parse(row["text"], name=PurePosixPath(row["path"]).parent.name) for row in rows}


def read_queries(path: Path) -> list[tuple[str, str]]:
    """Query and gold path."""
    with path.open(encoding="utf-8") as lines:
        return [(row["query"], row["gold"]) for row in map(json.loads, lines)]


def quality(skills: dict[str, Skill], queries: list[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Every measure for our search and for stock rank-bm25."""
    index = SkillIndex.of(skills)
    reference = Reference(skills)
    for query, _ in queries[:: len(queries) // COMPARED]:
        if index.search(query, 10) != reference.search(query, 10):
            raise SystemExit(f"search and the reference differ on {query!r}")
    stock = BM25Okapi([skill.text.lower().split() for skill in skills.values()])
    names = list(skills)

    def of_stock(query: str) -> list[str]:
        scores = stock.get_scores(query.lower().split()).tolist()
        return [name for _, name in sorted(zip((-score for score in scores), names, strict=True))[:1000]]

    def of_ours(query: str) -> list[str]:
        return [name for name, _ in index.search(query, 1000)]

    return {"ours": measures(of_ours, queries), "stock": measures(of_stock, queries)}


def measures(search: Callable[[str], list[str]], queries: list[tuple[str, str]]) -> dict[str, float]:
    """Recall, nDCG and mean reciprocal rank (within 1,000), each query with one relevant skill."""
    ranks = []
    for query, gold in queries:
        found = search(query)
        ranks.append(found.index(gold) + 1 if gold in found else math.inf)
    return {
        **{f"recall@{k}": statistics.mean(rank <= k for rank in ranks) for k in (1, 5, 10)},
        "nDCG@10": statistics.mean(1 / math.log2(1 + rank) if rank <= 10 else 0.0 for rank in ranks),
        "MRR": statistics.mean(1 / rank for rank in ranks),
    }


def timings(sample: dict[str, Skill], size: int) -> dict[str, float]:
    """Build, edit and query times with `size` skills; seconds for a build, milliseconds for the rest."""
    draw = random.Random(size)
    skills = of_size(list(sample.values()), size + EDITS, draw)
    repo, others = dict(list(skills.items())[:size]), list(skills.items())[size:]
    bodies = [skill.body.split() for skill in repo.values()]
    queries = [" ".join(words[:QUERY_WORDS]) for words in bodies if len(words) >= QUERY_WORDS]
    queries = draw.sample(queries, min(QUERIES, len(queries)))
    common = " ".join(most_common(repo.values(), QUERY_WORDS))
    return {**of_ours(repo, others, queries, common, draw), **of_stock(repo, queries[:STOCK_QUERIES])}


def of_size(sample: list[Skill], size: int, draw: random.Random) -> dict[str, Skill]:
    """So many skills by name: in a random order the sample's own, then copies with other words."""
    pool = [word for skill in sample for word in skill.body.split()]
    order = draw.sample(sample, len(sample))
    skills = {}
    for number in range(size):
        skill, copied = order[number % len(order)], number >= len(order)
        body = changed(skill.body, pool, draw) if copied else skill.body
        skills[f"{skill.name}-{number}"] = msgspec.structs.replace(skill, body=body)
    return skills


def changed(body: str, pool: Sequence[str], draw: random.Random) -> str:
    words = body.split(" ")
    for place in draw.sample(range(len(words)), int(len(words) * REPLACED)):
        words[place] = draw.choice(pool)
    return " ".join(words)


def most_common(skills: Iterable[Skill], count: int) -> list[str]:
    """The words that most skills have, without stop words."""
    having: Counter[str] = Counter()
    for skill in skills:
        having.update(count_words(skill.body).keys())
    return [word for word, _ in having.most_common(count)]


def of_ours(
    repo: dict[str, Skill], others: list[tuple[str, Skill]], queries: list[str], common: str, draw: random.Random
) -> dict[str, float]:
    index = SkillIndex()
    gc.collect()
    began = time.perf_counter()
    index.sync(repo)
    built = time.perf_counter() - began
    inserts = [timed(lambda: index.insert(name, skill)) for name, skill in others]  # noqa: B023
    names = draw.sample([name for name, _ in others], len(others))
    updates = [timed(lambda: index.update(name, skill)) for name, (_, skill) in zip(names, others, strict=True)]  # noqa: B023
    deletes = [timed(lambda: index.delete(name)) for name in names]  # noqa: B023
    asked = [timed(lambda: index.search(query, 5)) for query in queries]  # noqa: B023
    worst = [timed(lambda: index.search(common, 5)) for _ in range(10)]
    return {
        "build s": built,
        **spread("insert ms", inserts),
        **spread("update ms", updates),
        **spread("delete ms", deletes),
        **spread("query ms", asked),
        **spread("common ms", worst),
        **(kept(index, repo) if len(repo) > SMALL else {}),
    }


def kept(index: SkillIndex, repo: dict[str, Skill]) -> dict[str, float]:
    """What keeping the index in a folder takes, and opening it again over the same skills."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write = timed(lambda: saved.write(root, index._state()))
        loaded: list[SkillIndex] = []
        read = timed(lambda: loaded.append(SkillIndex._saved(root)))
        check = timed(lambda: loaded[0].sync(repo))
        size = (root / saved.FOLDER / saved.FILE).stat().st_size
    if len(loaded[0]) != len(repo):
        raise SystemExit("the index that was kept is not the one that was read")
    return {"write s": write / 1e3, "read s": read / 1e3, "check s": check / 1e3, "file MB": size / 1e6}


def of_stock(repo: dict[str, Skill], queries: list[str]) -> dict[str, float]:
    corpus = [[sys.intern(word) for word in skill.text.lower().split()] for skill in repo.values()]
    began = time.perf_counter()
    stock = BM25Okapi(corpus)
    built = time.perf_counter() - began
    asked = [timed(lambda: stock.get_scores(query.lower().split())) for query in queries]  # noqa: B023
    return {"stock build s": built, "stock query ms mean": statistics.mean(asked)}


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def spread(name: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        f"{name} mean": statistics.mean(values),
        f"{name} p95": ordered[int(0.95 * (len(ordered) - 1))],
        f"{name} max": ordered[-1],
    }


def table(corner: str, columns: dict[str, dict[str, float]] | dict[int, dict[str, float]]) -> str:
    """One column a key, one row a measure."""
    rows = list(dict.fromkeys(row for column in columns.values() for row in column))
    lines = [f"{corner:22}" + "".join(f"{f'{key:,}' if isinstance(key, int) else key:>11}" for key in columns)]
    for row in rows:
        cells = [f"{column[row]:11.3f}" if row in column else f"{'':11}" for column in columns.values()]
        lines.append(f"{row:22}" + "".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
