"""The stand-in server: its options, its thread, and the records of what it was asked."""

import asyncio
import inspect
import json
import threading
import time
import zlib
from collections import defaultdict, deque
from pathlib import Path

import msgspec

from tests.models.standin import parsing
from tests.models.standin.answers import Answer, Cut, Delayed, Raw, Status
from tests.models.standin.metrics import Metrics
from tests.models.standin.wire import Connection, Response

CHAT = "/v1/chat/completions"
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class Asked(msgspec.Struct):
    """One request. `model` is the name that was asked for, and `decoder` the model or adapter that answers by it.

    `status` is None while it is in work; `cancelled`: the client closed the connection before the answer.
    """

    path: str
    headers: dict[str, str]
    body: dict
    began: float
    model: str = ""
    decoder: str = ""
    prompt: str = ""
    status: int | None = None
    cancelled: bool = False
    ended: float | None = None

    @property
    def last(self) -> str:
        """The last message."""
        return self.body["messages"][-1]["content"]


def echo(asked: Asked) -> str:
    """The default answer: what the constraints of the request want, else a short text that depends on the prompt."""
    wanted = asked.body.get("structured_outputs") or {}
    if "choice" in wanted:
        return wanted["choice"][zlib.crc32(asked.prompt.encode()) % len(wanted["choice"])]
    form = asked.body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return json.dumps(parsing.instance(form["json_schema"]["schema"]))
    return f"<action>{asked.last.split()[-1][:40] if asked.last.split() else 'look'}</action>"


class StandIn:
    """A model server. Use it in a `with` block, or `start` and `stop`.

    `model`: the name that the base is served under; `adapters`: served adapters, name to path. `context`: max_model_len.
    `key`: requests need it as a bearer token. `refuses`: parameters that it answers with 400. `ignores`: parameters that it
    does not know and passes over. `omits`: top-level fields that its answers lack. `without`: paths that it does not have.
    `aliases` maps other paths to these, as a gateway has them.
    `tool_parser`, `reasoning_parser`: it takes calls and reasoning out of the text. `template_has_tools`: its chat template
    shows tools. `folder` has its chat template. `seconds_a_token` and `max_running` are its clock: so long takes a token, so
    many requests run at once.
    """

    def __init__(
        self,
        *,
        model="base",
        adapters=None,
        context=4096,
        key="",
        refuses=(),
        ignores=(),
        omits=(),
        without=(),
        tool_parser=True,
        reasoning_parser=True,
        template_has_tools=True,
        seconds_a_token=0.0,
        max_running=256,
        max_lora_rank=64,
        port=0,
        folder=parsing.FOLDER,
    ):
        self.folder = folder
        self.model, self.adapters, self.context, self.key = model, dict(adapters or {}), context, key
        self.refuses, self.ignores, self.omits, self.without = set(refuses), set(ignores), set(omits), set(without)
        self.tool_parser, self.reasoning_parser = tool_parser, reasoning_parser
        self.template_has_tools, self.max_lora_rank = template_has_tools, max_lora_rank
        self.answer = echo
        self.asked: list[Asked] = []
        self.loaded: list[str] = []
        self.decodes_as: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.metrics = Metrics(lambda: self.model, seconds_a_token, max_running)
        self._port, self._scripted, self._faults = port, deque(), defaultdict(deque)
        self._connections: set[Connection] = set()

    # Its life.

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Serve, in a thread."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="stand-in", daemon=True)
        self._thread.start()
        self._do(self._listen())
        self.url = f"http://127.0.0.1:{self._port}/v1"

    def stop(self):
        """Close every connection and end the thread."""
        self._do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()

    def outage(self, seconds):
        """Refuse connections from now on, and close those that are open; serve again after some seconds."""
        self._do(self._close())
        self.loop.call_soon_threadsafe(self.loop.call_later, seconds, lambda: self.loop.create_task(self._listen()))

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _listen(self):
        self._listening = await self.loop.create_server(
            lambda: Connection(self._handle, self._connections), "127.0.0.1", self._port, backlog=2048
        )
        self._port = self._listening.sockets[0].getsockname()[1]

    async def _close(self):
        self._listening.close()
        for connection in list(self._connections):
            connection.transport.abort()
        while self._connections:
            await asyncio.sleep(0)

    # The script.

    def script(self, *answers):
        """The next answers to chats, in order; `answer` gives those after them."""
        self._scripted.extend(answers)

    def on(self, path, *faults):
        """What the next requests of `path` are answered with, instead of what they ask for. None: as they ask."""
        self._faults[path].extend(faults)

    @property
    def chats(self) -> list[Asked]:
        """The requests for chats."""
        return [asked for asked in self.asked if asked.path == CHAT]

    # Requests.

    async def _handle(self, request) -> Response:
        path = request.path.partition("?")[0]
        path = self.aliases.get(path, path)
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            return response_of(Status(400, "the body is no JSON"))
        asked = Asked(path, request.headers, body, time.monotonic())
        self.asked.append(asked)
        try:
            response = await self._respond(asked)
            asked.status = response.status
            return response
        except asyncio.CancelledError:
            asked.cancelled = True
            raise
        finally:
            asked.ended = time.monotonic()

    async def _respond(self, asked) -> Response:
        if asked.path in self.without:
            return response_of(Status(404, body=b'{"detail":"Not Found"}'))
        if self.key and asked.path.startswith("/v1") and asked.headers.get("authorization") != f"Bearer {self.key}":
            return response_of(Status(401, body=b'{"error":"Unauthorized"}'))
        faults = self._faults[asked.path]
        if faults and (fault := faults.popleft()) is not None:
            return await self._played(fault, asked)
        match asked.path:
            case "/v1/chat/completions":
                return await self._chat(asked)
            case "/v1/models":
                return json_response(self._models())
            case "/tokenize":
                return self._tokenize(asked)
            case "/health" | "/ping":
                return Response()
            case "/version":
                return json_response({"version": "0.32.0"})
            case "/metrics":
                return Response(body=self.metrics.text().encode(), content_type="text/plain; version=0.0.4")
            case "/timeline":
                return json_response(self.metrics.timeline)
            case "/openapi.json":
                paths = [CHAT, "/v1/models", "/tokenize", "/health", "/metrics", LOAD, UNLOAD]
                return json_response(
                    {"openapi": "3.1.0", "paths": {path: {} for path in paths if path not in self.without}}
                )
            case "/v1/load_lora_adapter":
                loaded = self._load(asked.body)
                return await loaded if inspect.isawaitable(loaded) else loaded
            case "/v1/unload_lora_adapter":
                return self._unload(asked.body)
        return response_of(Status(404, body=b'{"detail":"Not Found"}'))

    def _models(self):
        base = {
            "id": self.model,
            "object": "model",
            "created": 1,
            "owned_by": "vllm",
            "root": self.model,
            "parent": None,
        }
        cards = [base | {"max_model_len": self.context}]
        cards += [base | {"id": name, "root": path, "parent": self.model} for name, path in self.adapters.items()]
        return {"object": "list", "data": cards}

    def _tokenize(self, asked):
        body = asked.body
        text = body["prompt"] if "prompt" in body else self._rendered(body)
        ids = parsing.encode(text)
        return json_response({"count": len(ids), "max_model_len": self.context, "tokens": ids, "token_strs": None})

    def _rendered(self, body):
        tools = body.get("tools") if self.template_has_tools else None
        return parsing.render(body["messages"], tools, self.folder, **body.get("chat_template_kwargs") or {})

    # Adapters.

    def _load(self, body):
        name, path = body.get("lora_name"), body.get("lora_path")
        if not name or not path:
            return response_of(
                Status(400, "Both 'lora_name' and 'lora_path' must be provided.", type="InvalidUserInput")
            )
        if name in self.adapters and not body.get("load_inplace"):
            already = f"The lora adapter '{name}' has already been loaded."
            return response_of(Status(400, already, type="InvalidUserInput"))
        config = Path(path) / "adapter_config.json"
        if not config.is_file():
            return response_of(Status(404, f"Loading lora {name} failed: No adapter found for {path}"))
        rank = json.loads(config.read_text()).get("r", 0)
        if rank > self.max_lora_rank:
            over = f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}."
            return response_of(Status(500, over, type="InternalServerError"))
        self.adapters[name] = path
        self.loaded.append(name)
        return Response(body=f"Success: LoRA adapter '{name}' added successfully.".encode(), content_type="text/plain")

    def _unload(self, body):
        name = body.get("lora_name")
        if name not in self.adapters:
            return response_of(Status(404, f"The lora adapter '{name}' cannot be found.", type="NotFoundError"))
        del self.adapters[name]
        return Response(
            body=f"Success: LoRA adapter '{name}' removed successfully.".encode(), content_type="text/plain"
        )

    # Chats.

    async def _chat(self, asked) -> Response:
        body = asked.body
        if refused := next((name for name in body if name in self.refuses), None):
            unknown = f"Unrecognized request argument supplied: {refused}"
            return response_of(Status(400, unknown, param=refused, type="invalid_request_error"))
        for name in self.ignores & set(body):
            del body[name]
        asked.model = body.get("model") or self.model
        if asked.model != self.model and asked.model not in self.adapters:
            return response_of(Status(404, f"The model `{asked.model}` does not exist.", type="NotFoundError"))
        asked.decoder = self.decodes_as.get(asked.model, asked.model)
        asked.prompt = self._rendered(body)
        prompt_ids = parsing.encode(asked.prompt)
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        if len(prompt_ids) + (most or 1) > self.context:
            return response_of(self._too_long(prompt_ids, most))
        answer = self._scripted.popleft() if self._scripted else self.answer(asked)
        async with self.metrics.running():
            return await self._played(answer, asked, prompt_ids, most)

    def _too_long(self, prompt_ids, most):
        room = self.context - (most or 0)
        beside = f"You requested {most} output tokens" if most else "your prompt alone is too long"
        return Status(
            400,
            f"This model's maximum context length is {self.context} tokens. However, {beside} and your prompt contains at "
            f"least {room + 1} input tokens, for a total of at least {self.context + 1} tokens. Please reduce the length of "
            "the input prompt or the number of requested output tokens.",
            param="input_tokens",
        )

    async def _played(self, answer, asked, prompt_ids=(), most=None) -> Response:
        """The response that a script's answer is."""
        if inspect.isawaitable(answer):
            answer = await answer
        match answer:
            case Delayed(seconds=seconds, then=then):
                await asyncio.sleep(seconds)
                return await self._played(then, asked, prompt_ids, most)
            case Cut(then=then, share=share):
                whole = await self._played(then, asked, prompt_ids, most)
                whole.cut = int(len(whole.body) * share)
                return whole
            case Status() | Raw():
                return response_of(answer)
            case str():
                answer = Answer(answer)
        if asked.path != CHAT:
            return Response(body=answer.text.encode())
        return await self._completed(answer, asked, list(prompt_ids), most)

    async def _completed(self, answer, asked, prompt_ids, most) -> Response:
        body, text = asked.body, answer.text
        finish, stop_reason = "stop", None
        stops = body.get("stop") or []
        for stop in [stops] if isinstance(stops, str) else stops:
            if stop in text:
                text, stop_reason = text[: text.find(stop)], stop
        ids = parsing.encode(text) if answer.ids is None else list(answer.ids)
        if answer.ids is None and stop_reason is None:
            ids.append(parsing.end_id())
        if most and len(ids) > most:
            ids, finish = ids[:most], "length"
            text = parsing.decode(ids)
        await self.metrics.generate(len(prompt_ids), len(ids), answer.cached or 0)
        message = {"role": "assistant", "content": text, "refusal": None, "reasoning": None, "function_call": None}
        if self.reasoning_parser:
            message["reasoning"], message["content"] = parsing.split_reasoning(text)
        if self.tool_parser and body.get("tools"):
            message["content"], message["tool_calls"] = parsing.split_calls(message["content"])
            finish = "tool_calls" if message["tool_calls"] and finish == "stop" else finish
        choice = {
            "index": 0,
            "message": _without_unset(message | answer.message),
            "logprobs": self._logprobs(answer, asked, ids) if body.get("logprobs") else None,
            "finish_reason": answer.finish or finish,
            "stop_reason": stop_reason,
            "token_ids": ids if body.get("return_token_ids") else None,
        }
        whole = {
            "id": f"chatcmpl-{len(self.asked):032x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": answer.adapter or asked.model,
            "choices": [_without_unset(choice | answer.choice)],
            "usage": {
                "prompt_tokens": len(prompt_ids),
                "total_tokens": len(prompt_ids) + len(ids),
                "completion_tokens": len(ids),
                "prompt_tokens_details": None if answer.cached is None else {"cached_tokens": answer.cached},
            },
            "prompt_token_ids": prompt_ids if body.get("return_token_ids") else None,
        }
        kept = {name: value for name, value in (whole | answer.extra).items() if name not in self.omits}
        return json_response(_without_unset(kept))

    def _logprobs(self, answer, asked, ids):
        """Log-probabilities that depend on what decodes, and on nothing else than the ids."""
        given = answer.logprobs
        if given is None:
            of = asked.decoder.encode()
            given = [-(zlib.crc32(of + b"%d,%d" % pair) % 2000) / 1000 for pair in enumerate(ids)]
        content = [
            {"token": piece, "logprob": logprob, "bytes": list(piece.encode()), "top_logprobs": []}
            for piece, logprob in zip(map(parsing.piece, ids), given, strict=False)
        ]
        return {"content": content}


def _without_unset(fields):
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


def json_response(value) -> Response:
    return Response(body=json.dumps(value).encode())


def response_of(answer) -> Response:
    if isinstance(answer, Raw):
        return Response(body=answer.body, content_type=answer.content_type)
    return Response(answer.code, answer.content(), dict(answer.headers))
