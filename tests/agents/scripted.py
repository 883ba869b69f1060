"""A chat model that says what a test tells it to: the model is not what these tests are about."""

from engine.models.base import Completion, ModelUnavailable, PromptTooLong, Tokens, Usage


class Scripted:
    """Answers each chat with the next of `answers`; an exception among them is raised. Keeps what it was asked."""

    def __init__(self, *answers, limit=None):
        self.answers = list(answers)
        self.asked = []
        self.offered = []
        self.limit = limit
        self.refused = 0

    async def complete(self, messages, sampling, tools=None):
        size = self._fit(messages)
        self.asked.append((messages, sampling))
        answer = self._next()
        if callable(answer):
            answer = await answer()
        ids = list(answer.encode())
        return Completion(
            answer, "stop", Usage(size, len(ids)), Tokens(list(range(size)), ids, [0.0] * len(ids)), version=0
        )

    def _next(self):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _fit(self, messages):
        """The size of `messages`, which is within the limit."""
        size = self.count("".join(message.content for message in messages))
        if self.limit is not None and size > self.limit:
            self.refused += 1
            raise PromptTooLong(size, self.limit)
        return size

    def count(self, text):
        return len(text.split())


class Scoring(Scripted):
    """Finds the option likeliest that begins with the next of `answers`; keeps the options in `offered`."""

    async def loglikelihood(self, messages, prefix, options, max_prompt_tokens=None):
        self._fit(messages)
        self.asked.append((messages, max_prompt_tokens))
        self.offered.append([prefix + option for option in options])
        answer = self._next()
        return [-0.1 if option.startswith(answer) else -9.0 for option in options]


class Choosing(Scripted):
    """Writes the option that holds the next of `answers`, or that answer where none does; keeps the options in `offered`."""

    async def choose(self, messages, options, sampling):
        self._fit(messages)
        self.asked.append((messages, sampling))
        self.offered.append(list(options))
        answer = self._next()
        text = next((option for option in options if answer in option), answer)
        return Completion(text, "stop", Usage(1, 1))


def act(action, thought="so"):
    """An executor's answer."""
    return f"<think>{thought}</think><action>{action}</action>"


OUTAGE = ModelUnavailable("connection refused by 127.0.0.1:9")
