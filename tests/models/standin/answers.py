"""What a script of the stand-in server may answer: a text, an `Answer`, or one of the faults of real servers.

Answer("<think>hm</think>\n\nyes", cached=128)    # the raw text; reasoning and calls are parsed out as the server is set
Delayed(2, "late")                               # after 2 s; HANG never answers
Status(401, "invalid key")                       # an error in vLLM's form; `body` replaces it
Status(429, headers={"Retry-After": "1"})
Cut("an answer", share=0.5)                      # closes the connection in the middle of the body
Raw(b"<html>")                                   # status 200 with any body
"""

import json
from http import HTTPStatus

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """A completion. `text` is raw: what the model sampled, its end token not included.

    `ids` and `logprobs` replace those that the server makes; `finish` replaces its reason. `message` and `choice` replace
    fields of the message and of the choice, and `extra` of the whole answer; a value of `msgspec.UNSET` removes the field.
    `adapter` is the name of the adapter or model that the answer names; "": the one that was asked for.
    """

    text: str = ""
    ids: list[int] | None = None
    logprobs: list[float] | None = None
    finish: str = ""
    cached: int | None = 0
    adapter: str = ""
    message: dict = {}
    choice: dict = {}
    extra: dict = {}


class Delayed(msgspec.Struct, frozen=True):
    """`then`, after some seconds."""

    seconds: float
    then: object = ""


HANG = Delayed(1e9)
"""No answer, ever."""


class Status(msgspec.Struct, frozen=True):
    """An error. `body` is its whole body; None: the one of vLLM with `message` and `param`."""

    code: int
    message: str = ""
    headers: dict[str, str] = {}
    body: bytes | None = None
    param: str | None = None
    type: str = ""

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        phrase = HTTPStatus(self.code).phrase
        kind = self.type or ("BadRequestError" if self.code == 400 else phrase.replace(" ", "") + "Error")
        return json.dumps(
            {"error": {"message": self.message or phrase, "type": kind, "param": self.param, "code": self.code}}
        ).encode()


class Cut(msgspec.Struct, frozen=True):
    """`then`, of whose body the connection is closed after this share."""

    then: object = "an answer that is cut"
    share: float = 0.5


class Raw(msgspec.Struct, frozen=True):
    """Status 200 and any body."""

    body: bytes
    content_type: str = "application/json"


def huge(megabytes: int) -> Raw:
    """A valid answer whose content is larger than any model writes."""
    content = b"x" * (megabytes << 20)
    return Raw(
        b'{"id":"x","object":"chat.completion","created":1,"model":"base","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"' + content + b'"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    )
