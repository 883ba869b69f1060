"""A stand-in model server: real HTTP on the loopback, in the form of vLLM's OpenAI API, scripted by a test.

    with StandIn() as server:                                     # a thread with an event loop of its own
        server.answer = lambda asked: "<action>look</action>"     # of each chat: text, an `Answer` or a fault; may be async
        ... server.url ...                                        # http://127.0.0.1:PORT/v1
        assert server.chats[0].body["temperature"] == 0.5         # what it was asked

    server.script(Status(429, headers={"Retry-After": "1"}), "yes")    # the next answers, before `answer`
    server.on("/v1/load_lora_adapter", Status(500))                    # the next request of another path
    server.outage(30)                                                  # refuses connections for that long
    server.decodes_as["curator-v2"] = "curator-v1"                     # the wrong adapter answers

`answers` has what a script may return, `server` the options of the server. `pocket` answers by the pocket model, so that
whole runs go through it. As a process of its own: `python -m tests.models.standin --help`.
"""

from tests.models.standin.answers import HANG, Answer, Cut, Delayed, Raw, Status, huge
from tests.models.standin.server import Asked, StandIn

__all__ = ["HANG", "Answer", "Asked", "Cut", "Delayed", "Raw", "StandIn", "Status", "huge"]
