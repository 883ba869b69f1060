"""The workbench in a real browser: `python -m pytest -m browser`. Chromium loads the page, and a person reviews by keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workbench.reviewing import decided, waiting_run
from tests.workbench.serving import Serving

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]


def text(painted: list[bytes | str]) -> str:
    """What the workbench has painted until now, without escape sequences."""
    data = b"".join(part for part in painted if isinstance(part, bytes))
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", data.decode(errors="replace"))


async def soon(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when it holds; fail if it does not in time. The browser goes on meanwhile."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.1)


async def test_an_edit_that_is_approved_by_key_in_the_browser_is_a_file_of_the_repository(tmp_path: Path) -> None:
    from playwright.async_api import async_playwright

    run = waiting_run(tmp_path / "run")
    with Serving(run.path) as serving:
        async with async_playwright() as playwright:
            chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await chromium.new_page(viewport={"width": 1200, "height": 760})
            loaded: list[str] = []
            wrong: list[str] = []
            page.on("request", lambda request: loaded.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            painted: list[bytes | str] = []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: painted.append(frame)))
            await page.goto(serving.address)
            await page.wait_for_selector("body.-first-byte", timeout=60_000)
            await soon(lambda: "find-kettle" in text(painted))
            await page.keyboard.press("2")
            await soon(lambda: "insert · find-" in text(painted))
            await page.wait_for_timeout(1000)  # a person reads
            await page.keyboard.press("a")
            await soon(lambda: "committed" in decided(run).values())
            (edit,) = decided(run)
            await soon(lambda: (run.repo_path / run.edit(edit).skill / "SKILL.md").is_file())
            assert wrong == [] and all(url.startswith((serving.address, "data:")) for url in loaded)
            await page.keyboard.press("q")
            await page.wait_for_selector("body.-closed .ended a", state="visible", timeout=20_000)
            await chromium.close()
