"""Opening the backend `openai` on a stand-in: `async with opened(server) as (models, notices)`."""

from contextlib import asynccontextmanager
from pathlib import Path

import engine.models.pocket
from engine.core.events import Notice
from engine.core.holds import Holds
from engine.models.base import Message, Opening
from engine.models.openai.opening import open_models
from engine.models.openai.settings import OpenAIModelSettings

POCKET = str(Path(engine.models.pocket.__file__).parent)
CHAT = [Message("user", "hello there")]
INSERT = {
    "type": "function",
    "function": {
        "name": "insert_skill",
        "description": "Adds a skill.",
        "parameters": {
            "type": "object",
            "properties": {"skill_name": {"type": "string"}, "content": {"type": "string"}},
        },
    },
}


@asynccontextmanager
async def opened(server, *, holds=None, roles=frozenset({"executor", "curator", "judge"}), **settings):
    """The models, and the messages of the notices; what was asked until then is forgotten."""
    notices = []

    def emit(event):
        if isinstance(event, Notice):
            notices.append(event.message)

    given = {"url": server.url, "tokenizer": POCKET, "retries": 1} | settings
    found = await open_models(OpenAIModelSettings(**given), Opening(emit=emit, holds=holds or Holds(), roles=roles))
    server.asked.clear()
    try:
        yield found.models, notices
    finally:
        await found.close()
