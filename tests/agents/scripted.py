"""A chat model that says what a test tells it to: the model is not what these tests are about."""

from engine.models.base import Choice, Completion, ModelUnavailable, PromptTooLong


class Scripted:
    """Answers each chat with the next of `answers`; an exception among them is raised. Keeps what it was asked."""

    def __init__(self, *answers, limit=None):
        self.answers = list(answers)
        self.asked = []
        self.offered = []
        self.limit = limit
        self.refused = 0

    async def complete(self, messages, *, role, sampling, tools=None):
        size = self._fit(messages)
        self.asked.append((role, messages, sampling))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer = await answer()
        ids = list(answer.encode())
        return Completion(answer, list(range(size)), ids, [0.0] * len(ids), "stop")

    async def choose(self, messages, options, *, role, prefix, sampling):
        """Chooses the option that begins with the next of `answers`; keeps the options in `offered`."""
        self._fit(messages)
        self.asked.append((role, messages, sampling))
        self.offered.append([prefix + option for option in options])
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        index = next(index for index, option in enumerate(options) if option.startswith(answer))
        return Choice(index, options[index], [0.0] * len(options), [])

    def _fit(self, messages):
        """The size of `messages`, which is within the limit."""
        size = self.count_tokens("".join(message.content for message in messages))
        if self.limit is not None and size > self.limit:
            self.refused += 1
            raise PromptTooLong(size, self.limit)
        return size

    def count_tokens(self, text):
        return len(text.split())


def act(action, thought="so"):
    """An executor's answer."""
    return f"<think>{thought}</think><action>{action}</action>"


OUTAGE = ModelUnavailable("connection refused by 127.0.0.1:9")
