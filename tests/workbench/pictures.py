"""Pictures of every screen of the workbench, as SVG, from a real run.

python -m tests.workbench.pictures                                      # those of the README, in docs/pictures
python -m tests.workbench.pictures --run DIR --out /tmp/look --sizes 80x24 120x40 200x60 --themes dark light

Without `--run`, a run of the pocket model is made first: 16 steps with a fixed seed, of which a person called ann approves
two edits and vetoes one. It takes about 5 minutes on 2 cores that do nothing else. The names of several sizes or themes
have both: `live-80x24-dark.svg`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape, unescape
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.cells import cell_len
from textual.pilot import Pilot

from skillos_tui.keymap import TABS
from skillos_tui.model.target import Target
from tests.workbench.stage import on_screen, until, workbench

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "pictures"
PERSON = "ann"
STEPS = 16
SETTINGS = (f"training.steps={STEPS}", "training.evaluate_every=4", "training.seed=1")
QUIET_SECONDS = 1.5
"""A screen is complete when its text has not changed for so long."""
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")
"""Fonts that Textual's SVG would fetch from the network; a viewer has a monospaced one of its own."""

TEXT = re.compile(
    r'<text class="([^"]+)" x="([\d.]+)" y="([^"]+)" textLength="([\d.]+)" clip-path="([^"]+)">([^<]+)</text>'
)
"""A piece of a line in Textual's SVG."""
WORD = re.compile("[!-~]+|[\u2500-\u257f]+|\\S")
"""What every viewer can set with the right width: ASCII, lines of boxes, and any other character alone."""


class Shot(NamedTuple):
    """A picture: the screen, the place on it (`skillos_tui.model.target`), and the keys to press there."""

    screen: str
    at: str = ""
    keys: tuple[str, ...] = ()


SHOTS = (
    Shot("home"),
    Shot("live"),
    Shot("review", keys=("n",)),
    Shot("skills"),
    Shot("rollouts", at=f"{STEPS}/g1/r2"),
    Shot("rewards"),
    Shot("evaluation"),
    Shot("runs"),
    Shot("system"),
)


def main() -> None:
    """Make the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run's directory; by default a run is made, and removed at the end")
    parser.add_argument(
        "--out", type=Path, default=OUT, help="where the pictures are written; by default docs/pictures"
    )
    parser.add_argument("--sizes", nargs="+", default=["120x36"], help="columns x rows")
    parser.add_argument("--themes", nargs="+", default=["dark"])
    parser.add_argument("screens", nargs="*", help=f"of: {', '.join(shot.screen for shot in SHOTS)}; by default all")
    options = parser.parse_intermixed_args()
    shots = [shot for shot in SHOTS if not options.screens or shot.screen in options.screens]
    options.out.mkdir(parents=True, exist_ok=True)
    with run_to_show(options.run) as run:
        for size, theme in product(options.sizes, options.themes):
            ending = f"-{size}-{theme}" if len(options.sizes) * len(options.themes) > 1 else ""
            for name, svg in asyncio.run(pictures(run, shots, size, theme)):
                (options.out / f"{name}{ending}.svg").write_text(svg, encoding="utf-8")


@contextmanager
def run_to_show(given: Path | None) -> Iterator[Path]:
    """The run that is given, or a new one that is removed at the end."""
    if given is not None:
        yield given.absolute()
        return
    with TemporaryDirectory(prefix="skillos-") as folder:
        run = Path(folder) / "runs" / "houses"
        train(run)
        review(run)
        yield run


def train(run: Path) -> None:
    """Train the pocket model, in an engine of its own."""
    _engine("train", "--profile", "pocket", "--run", run, "--set", *SETTINGS)


def review(run: Path) -> None:
    """Decide on three of the edits that wait, and leave the others."""
    listed = _engine("review", run, "list", "--json")
    first, second, third = re.findall(r'"id": ?"(e\d+)"', listed)[:3]
    _engine("review", run, "approve", first)
    _engine("review", run, "approve", second)
    _engine("review", run, "veto", third, "--reason", "It names one place; a skill should say how to search.")


def _engine(*arguments: str | Path) -> str:
    """Run `skillos-engine` as a person called ann; returns what it prints."""
    command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
    env = {**os.environ, "LOGNAME": PERSON}
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=env, cwd=ROOT).stdout


async def pictures(run: Path, shots: Iterable[Shot], size: str, theme: str) -> list[tuple[str, str]]:
    """The SVG of each screen, by its name."""
    width, height = map(int, size.split("x"))
    made = []
    for shot in shots:
        home = shot.screen == "home"
        async with workbench(None if home else run, folder=run.parent, size=(width, height), theme=theme) as pilot:
            await until(pilot, lambda pilot=pilot, home=home: home or pilot.app.caught_up)  # type: ignore[misc]
            if shot.screen in TABS:
                await pilot.app.go(Target(shot.screen, shot.at))  # type: ignore[attr-defined]
            for key in (None, *shot.keys):
                if key is not None:
                    await pilot.press(key)
                await complete(pilot)
            svg = pilot.app.export_screenshot(title="skillos-tui")
            made.append((shot.screen, aligned(FONT_FACE.sub("", svg))))
    return made


def aligned(svg: str) -> str:
    """The SVG with each word at its own place, since viewers drop spaces at the beginning of a text and take characters
    that their font lacks from one of another width."""
    return TEXT.sub(_words, svg)


def _words(match: re.Match[str]) -> str:
    style, x, y, length, clip, escaped = match.groups()
    text = unescape(escaped)
    cell = float(length) / max(1, cell_len(text))
    words = []
    for word in WORD.finditer(text):
        left = float(x) + cell * cell_len(text[: word.start()])
        width = cell * cell_len(word[0])
        words.append(
            f'<text class="{style}" x="{left:.1f}" y="{y}" textLength="{width:.1f}" clip-path="{clip}">'
            f"{escape(word[0], quote=False)}</text>"
        )
    return "".join(words)


async def complete(pilot: Pilot[str]) -> None:
    """Return when the screen has not changed for a while, or after 20 s."""
    text, quiet = "", 0.0
    for _ in range(200):
        await asyncio.sleep(0.1)
        await pilot.pause()
        now = on_screen(pilot)
        text, quiet = now, quiet + 0.1 if now == text else 0.0
        if quiet >= QUIET_SECONDS:
            return


if __name__ == "__main__":
    main()
