"""Find instance names: object ids, files and numbers of one task, which a general skill must not contain.

    seen = instance_names("You see a mug 1 and /home/alice/x.csv.")        # {"mug 1", "/home/alice/x.csv", "x.csv"}

A name that is in the skill and in the trajectory from which it was written is copied, and does not help with other tasks.
Without a trajectory only home folders are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.core.findings import Finding, bounded, quoted
from engine.skills.audit.reading import Reading

_NUMBERED = re.compile(r"(?<![\w-])([a-z]{2,30})[ _-]?#?(\d{1,6})(?![\w%-]|[.,]\d)")
_TOKEN = re.compile(r"(?<![\w.~/\\:-])[\w.~/\\:-]{4,300}+")
_FOLDER = re.compile(r"(?<![\w.])(?:/home/|/users/|[a-z]:\\users\\)([\w.-]{1,64})(?:[/\\][\w.-]{1,80}){0,20}")
_UUID = re.compile(r"(?<![\w-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])")
_HEX = re.compile(r"(?<![\w-])(?=[a-f]{0,63}\d)[0-9a-f]{10,64}(?![\w-])")
_ADDRESS = re.compile(
    r"(?<![\w.@-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,24}){1,4}|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"
)

_COUNTED = frozenset(
    "step steps turn turns task tasks line lines page pages part parts level version section chapter figure table row rows "
    "column columns port option case day days week weeks month year years hour hours minute minutes second seconds stage "
    "phase rule example item note point question answer number exit code status error http utf sha iso python top at "
    "least most than about only in of to for and or the first last after before every each up under over within is are "
    "was be by from with on per than top size max min count total limit score rate try attempt round".split()
)
_EXTENSIONS = frozenset(
    "csv tsv txt json jsonl yaml yml toml xml html md pdf png jpg jpeg gif svg py js ts sh sql db sqlite log xls xlsx doc "
    "docx ppt pptx ipynb parquet zip tar gz npz npy pkl pt h5 mp3 mp4 wav conf ini bak".split()
)
_COMMON_FILES = frozenset(
    "readme.md skill.md license.txt package.json package-lock.json tsconfig.json index.html index.js main.py setup.py "
    "pyproject.toml requirements.txt config.yaml config.yml config.json config.toml settings.json docker-compose.yml "
    "cargo.toml conftest.py app.py test.py manage.py node.js next.js vue.js three.js d3.js".split()
)
_ANYBODY = frozenset(
    "user username you yourname your-name your-username your_username me name someuser ubuntu root runner node app vscode "
    "developer dev admin linuxbrew shared public foo xxx".split()
)


def instance_names(text: str) -> set[str]:
    """The instance names in `text`, in lower case."""
    low = text.lower()
    return {name for name, _ in _names(low)}


def findings(reading: Reading, seen: str) -> Iterator[Finding]:
    """The instance names that the text shares with `seen`, and home folders."""
    if seen:
        known = instance_names(seen)
        yield from bounded(
            Finding(
                "instance-name",
                "warning",
                reading.line(reading.low, offset),
                f"was copied from the one task at hand: {quoted(name)}",
            )
            for name, offset in _names(reading.low)
            if name in known
        )
    yield from bounded(
        Finding(
            "instance-name",
            "warning",
            reading.line(reading.low, match.start()),
            f"is one person's folder: {quoted(match[0])}",
        )
        for match in _FOLDER.finditer(reading.low)
        if match[1] not in _ANYBODY
    )


def _names(low: str) -> Iterator[tuple[str, int]]:
    """The candidate names with their offsets. Object ids have the form "mug 1", whatever joins the two parts."""
    for match in _NUMBERED.finditer(low):
        if match[1] not in _COUNTED:
            yield f"{match[1]} {match[2]}", match.start()
    for match in _TOKEN.finditer(low):
        path = match[0].rstrip(".:")
        name = re.split(r"[/\\]", path)[-1]
        if name.rpartition(".")[2] in _EXTENSIONS and name not in _COMMON_FILES:
            yield from ((found, match.start()) for found in {path, name})
    for pattern in (_FOLDER, _UUID, _HEX, _ADDRESS):
        for match in pattern.finditer(low):
            yield match[0], match.start()
