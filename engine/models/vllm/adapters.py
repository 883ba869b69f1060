"""The adapters on a server: which one the curator is, and how the next one takes its place (`AdapterSink`).

    adapters = Adapters(server, base="base", reference=reference, emit=opening.emit)
    await adapters.check(folder, rank=8)                  # the base and a canary answer as the trainer computes
    async with adapters.used() as use:                    # a request of the curator
        use.served()                                      # the name and version to ask for now
    proof = await adapters.publish(run.checkpoints / "step-0007", 7)

To publish: load the new adapter under a name of its own, prove that it answers, give new requests its name, wait until no
request uses the old name, and unload that. So no request is decoded by two adapters, and each one knows its version.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.core.errors import ConfigError
from engine.core.events import Notice, Sink
from engine.core.files import remedy
from engine.models.adapters import check_adapter
from engine.models.base import ModelUnavailable, NotPublished, Proof
from engine.models.remote.model import Served
from engine.models.vllm.api import LOAD, UNLOAD, Question, Refused, ServerGone
from engine.models.vllm.proof import MOST_PLACES, PLACES, Comparison, Table, Values, compare, separating
from engine.models.vllm.server import OtherServer, OwnServer

if TYPE_CHECKING:
    from engine.models.vllm.reference import Reference

DRAIN_SECONDS = 600.0
"""How long an old adapter stays loaded for requests that use it."""
TRIES = 5
BASE_NOISE = 0.25
"""A base whose log-probabilities differ by more than this a token, in the mean, is another model."""
HOW = (
    "the served log-probabilities at the {count} places where the two adapters differ most are compared with the trainer's "
    "for both"
)

EFFECT_TEXT = "Two skills say where dishes are: mugs are in the sink, and plates are in the cabinet."
EFFECT_PLACES = 8
"""The text at whose places an adapter that was not trained here is compared with the base, and at how many of them."""

T = TypeVar("T")


class Adapter(msgspec.Struct, frozen=True):
    """What the curator is on the server: the model name to ask for, its version, and its folder (None: the base)."""

    name: str
    version: int
    folder: Path | None = None


class Use:
    """One request's use of adapters: it keeps the one that it asked for last loaded."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters
        self.name = ""

    def served(self) -> Served:
        """The present adapter, as it is to be asked for."""
        now = self._adapters.current
        if now.name != self.name:
            self._adapters.count_use(self.name, now.name)
            self.name = now.name
        return Served(now.name, now.version)


class Adapters:
    """The curator's adapters on one server. `mark` makes the names differ from those of other runs on the same server; a
    server keeps what it computed for a name and a folder. `reference` is None where nothing is trained."""

    def __init__(
        self, server: OwnServer | OtherServer, *, base: str, reference: Reference | None, emit: Sink, mark: str = ""
    ) -> None:
        self._server = server
        self._base = base
        self._reference = reference
        self._emit = emit
        self._mark = mark
        self.current = Adapter(base, 0)
        self._loaded: list[Adapter] = []
        self._names: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        self._freed = asyncio.Event()
        self._remembering = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()
        self._base_table: Table = []
        self._base_answers: dict[int, dict[int, float]] = {}
        self._proved: Table = []
        server.restored = self.restore

    # Requests.

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Use]:
        """A request's use of the adapters, until the block ends."""
        use = Use(self)
        try:
            yield use
        finally:
            self.count_use(use.name, "")

    def count_use(self, before: str, now: str) -> None:
        """A request uses the adapter called `now` instead of `before`; "" is none."""
        self._uses[before] -= 1
        self._uses[now] += 1
        self._freed.set()

    async def remembered_again(self, name: str) -> bool:
        """Whether the server has the adapter called `name`, after those that it has forgotten were loaded again. Of requests
        that fail together, the first loads them."""
        async with self._remembering:
            known = {card.id for card in await self._server.api.models()}
            if any(adapter.folder is not None and adapter.name not in known for adapter in self._loaded):
                self._emit(Notice("warning", "the vLLM server has forgotten the adapters: they are loaded again"))
                await self.restore()
            return name in known or any(adapter.name == name for adapter in self._loaded)

    async def restore(self) -> None:
        """Load the present adapters again, on a server that was started again or has forgotten them."""
        for served in list(self._loaded):
            if served.folder is not None:
                try:
                    await self._server.api.load(served.name, served.folder)
                except Refused as error:
                    if "already been loaded" not in error.said:
                        raise

    # Publishing.

    async def publish(self, adapter: Path, version: int) -> Proof:
        """See `AdapterSink`. Raises `NotPublished`, also where the server does not take the adapter, and `ConfigError`."""
        served = await self._load(adapter, version)
        try:
            proof = await self._proof(served)
        except BaseException:
            with suppress(ModelUnavailable):
                await self._unload(served)
            raise
        before, self.current = self.current, served
        if before.folder is not None:
            draining = asyncio.create_task(self._drain(before), name=f"drain {before.name}")
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)
            await asyncio.shield(draining)
        return proof

    async def put(self, adapter: Path) -> None:
        """Make the curator the adapter in a folder, as version 0, before anything is asked of it.

        No trainer computes what it should answer; that it answers otherwise than the base is looked at, and noted if not.
        """
        self.current = await self._load(adapter, 0)
        name = self.current.name
        ids = await self._patiently(lambda: self._server.api.tokens(self._base, EFFECT_TEXT))
        questions = [Question(ids[:count], []) for count in range(1, len(ids), max(1, len(ids) // EFFECT_PLACES))]
        answers = await self._patiently(lambda: self._server.api.logprobs(name, questions))
        plain = await self._patiently(lambda: self._server.api.logprobs(self._base, questions))
        if answers == plain:
            self._emit(
                Notice(
                    "warning", f"the adapter {adapter} has no effect on the vLLM server: it answers exactly as the base"
                )
            )

    async def close(self) -> None:
        """Unload what this run loaded; another run's server goes on without it."""
        for draining in self._draining:
            draining.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        for served in list(self._loaded):
            with suppress(ModelUnavailable):
                await self._unload(served)

    async def _load(self, adapter: Path, version: int) -> Adapter:
        check_adapter(adapter)
        name = f"curator-v{version}{self._mark}"
        self._names[name] += 1
        again = f".{self._names[name]}" if self._names[name] > 1 else ""
        served = Adapter(name + again, version, absolute(adapter))
        await self._patiently(lambda: self._loaded_now(served))
        self._loaded.append(served)
        return served

    async def _loaded_now(self, served: Adapter) -> None:
        assert served.folder is not None
        try:
            await self._server.api.load(served.name, served.folder)
        except Refused as error:
            if "already been loaded" in error.said:
                return
            raise NotPublished(_why_refused(error, served.folder)) from error

    async def _unload(self, served: Adapter) -> None:
        self._loaded.remove(served)
        with suppress(Refused):  # it is gone already
            await self._server.api.unload(served.name)

    async def _drain(self, old: Adapter) -> None:
        """Wait until no request uses the old adapter, and unload it."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._uses[old.name]:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            self._emit(
                Notice(
                    "warning", f"requests still use {old.name} after {DRAIN_SECONDS:g} s; it is unloaded all the same"
                )
            )
        with suppress(ServerGone):
            await self._unload(old)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The result of `ask`, which is made again where the server ended meanwhile."""
        for left in reversed(range(TRIES)):
            await self._server.up()
            mark = self._server.mark
            try:
                return await ask()
            except ModelUnavailable:
                if not left or not await self._server.lost(mark):
                    raise
        raise AssertionError("the last try raises")

    # The proof.

    async def check(self, folder: Path, rank: int) -> None:
        """Prove that the server's base is the trainer's, and that an adapter has an effect on it: an adapter that is made
        from the base by a fixed rule, with a large effect, must be shown. Raises `ConfigError` and `NotPublished`."""
        reference = self._reference
        assert reference is not None
        self._base_table = self._proved = await asyncio.to_thread(reference.table, None)
        canary = folder / "canary"
        try:
            table = await asyncio.to_thread(_written, reference, canary, rank)
            served = await self._load(canary, 0)
            found = await self._compared(served, self._base_table, table)
            await self._unload(served)
        finally:
            shutil.rmtree(canary, ignore_errors=True)
        if found.noise > BASE_NOISE:
            raise ConfigError(
                f"the base on the vLLM server is not the trainer's: their log-probabilities differ by {found.noise:.2f} a "
                "token. model.weights must be what the server serves"
            )
        if found.verdict != "new":
            raise NotPublished(f"the vLLM server does not show the effect of an adapter made to test it: {found.said}")
        self._emit(
            Notice(
                "info",
                f"the vLLM server answers as the trainer computes: an adapter that moves log-probabilities by "
                f"{found.separation:.2f} a token shows {found.moved:.0%} of that, and the base's noise is {found.noise:.4f}",
            )
        )

    async def _proof(self, served: Adapter) -> Proof:
        """The comparison with the adapter that was proved last, and with the base. Raises `NotPublished`."""
        reference = self._reference
        if reference is None:
            return Proof("the server took the adapter", unmeasured="no trainer computes what it should answer")
        assert served.folder is not None
        table = await asyncio.to_thread(reference.table, served.folder)
        found = await self._compared(served, self._proved, table)
        if found.worth_more:
            found = await self._compared(served, self._proved, table, MOST_PLACES)
        proof = self._proved_by(found, served)
        if self._proved is not self._base_table:
            self._proved_by(await self._compared(served, self._base_table, table), served)
        if not proof.unmeasured:
            self._proved = table
        return proof

    def _proved_by(self, found: Comparison, served: Adapter) -> Proof:
        """The proof that a comparison gives. Raises `NotPublished`."""
        try:
            return found.proof(HOW.format(count=found.places))
        except NotPublished as error:
            raise NotPublished(
                f"the server {self._server.url} does not answer as the adapter of step {served.version}, which it has "
                f"loaded as {served.name}: {error}. The checkpoint of the step is saved: start the server again if the "
                "engine did not start it, and resume publishes the adapter again"
            ) from error

    async def _of_base(self, numbers: Sequence[int]) -> list[dict[int, float]]:
        """What the server's base answers to the questions of these numbers. It is frozen, so it is asked once."""
        assert self._reference is not None
        questions = self._reference.questions
        missing = [number for number in numbers if number not in self._base_answers]
        asked = [questions[number] for number in missing]
        answers = await self._patiently(lambda: self._server.api.logprobs(self._base, asked))
        self._base_answers.update(zip(missing, answers, strict=True))
        return [self._base_answers[number] for number in numbers]

    async def _compared(self, served: Adapter, old: Table, new: Table, count: int = PLACES) -> Comparison:
        """What the server answers as `served`, at the places where `old` and `new` differ most."""
        assert self._reference is not None
        asked = separating(self._reference.questions, old, new, count)
        questions = [question for _, question in asked]
        answers = await self._patiently(lambda: self._server.api.logprobs(served.name, questions))
        plain = await self._of_base([number for number, _ in asked])
        places = []
        for (number, question), answer, of_base in zip(asked, answers, plain, strict=True):
            row = {
                token: (before, after, base)
                for token, before, after, base in zip(
                    self._reference.questions[number].tokens,
                    old[number],
                    new[number],
                    self._base_table[number],
                    strict=True,
                )
            }
            places.append(
                [
                    Values(answer[token], row[token][0], row[token][1], of_base[token] - row[token][2])
                    for token in question.tokens
                    if token in answer and token in of_base
                ]
            )
        return compare(places)


def _written(reference: Reference, folder: Path, rank: int) -> Table:
    """The table of a canary, which is written to a folder. Raises `ConfigError` where it cannot be."""
    from safetensors import SafetensorError

    try:
        return reference.canary(folder, rank)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"the adapter that tests the vLLM server, {folder}, cannot be written: {error}; {remedy(error)}, or let the run "
            "be in another folder"
        ) from error


def absolute(folder: Path) -> Path:
    """The folder as another process finds it."""
    return folder.absolute()


def _why_refused(error: Refused, folder: Path) -> str:
    """What to change where a server does not take an adapter."""
    said = error.said.lower()
    if "rank" in said:
        return (
            f"the vLLM server does not take the adapter {folder}, whose rank is above its limit ({error.said}): lower "
            "training.lora_rank, or start the server with a larger --max-lora-rank"
        )
    if error.status == 404 and "no adapter found" in said:
        return (
            f"the vLLM server does not see the folder {folder}: it must run on this machine, or on the same file system"
        )
    if error.status in (404, 405):
        return (
            f"the vLLM server has no {LOAD} and {UNLOAD}: start it with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
        )
    return (
        f"the vLLM server does not take the adapter {folder}: {error.said or 'without a reason'} (HTTP {error.status})"
    )
