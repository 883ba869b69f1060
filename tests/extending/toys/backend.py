"""A toy backend without token ids: it repeats the last line of the chat."""

from engine.models.base import Completion, Models, Opened, Usage
from engine.models.registry import ModelBackend
from engine.models.settings import ModelSettings


class ParrotSettings(ModelSettings, frozen=True, tag="parrot"):
    """A model that repeats."""


class Parrot:
    """Both a `ChatModel` and a `Tokenizer`."""

    async def complete(self, messages, sampling, tools=None):
        text = messages[-1].content.strip().splitlines()[-1]
        return Completion(text, "stop", Usage(self.count(messages[-1].content), self.count(text)))

    def count(self, text):
        return len(text.split())


async def open_models(settings, opening):
    opening.report("the parrot")
    parrot = Parrot()
    return Opened(Models(parrot, parrot, None, parrot))


KIND = ModelBackend(name="parrot", settings=ParrotSettings, opens="tests.extending.toys.backend:open_models")
