"""A picture of the workbench on a run, as SVG, for the README.

python -m tests.workbench.picture RUN OUT.svg [--size 120x40] [--theme light] [KEY ...]
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tests.workbench.stage import until, workbench


def main() -> None:
    """Take the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--theme", default="dark")
    parser.add_argument("keys", nargs="*", help="keys to press before, by Textual's names")
    options = parser.parse_intermixed_args()
    options.out.write_text(asyncio.run(picture(options)), encoding="utf-8")


async def picture(options: argparse.Namespace) -> str:
    """The screen once the run's events are on it and the keys have been pressed."""
    width, height = map(int, options.size.split("x"))
    async with workbench(options.run.absolute(), size=(width, height), theme=options.theme) as pilot:
        await until(pilot, lambda: bool(pilot.app.view.planned))  # type: ignore[attr-defined]
        for key in options.keys:
            await pilot.press(key)
        await asyncio.sleep(1)
        await pilot.pause()
        return pilot.app.export_screenshot(title="skillos-tui")


if __name__ == "__main__":
    main()
