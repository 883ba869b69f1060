"""The workbench in a real browser: `python -m pytest -m browser`. Chromium loads the page, and a person reviews by keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workbench.reviewing import decided, waiting_run
from tests.workbench.serving import Serving, eventually

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]


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
            await page.goto(serving.address)
            await page.wait_for_selector("body.-first-byte", timeout=60_000)
            await page.wait_for_timeout(3000)
            await page.keyboard.press("2")
            await page.wait_for_timeout(3000)
            await page.screenshot(path=tmp_path / "review.png")
            await page.keyboard.press("a")
            eventually(lambda: "approved" in decided(run).values())
            (edit,) = decided(run)
            eventually(lambda: (run.repo_path / run.edit(edit).skill / "SKILL.md").is_file())
            assert wrong == [] and all(url.startswith((serving.address, "data:")) for url in loaded)
            await page.keyboard.press("q")
            await page.wait_for_selector("body.-closed .ended a", state="visible", timeout=20_000)
            await chromium.close()
