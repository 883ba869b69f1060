"""Adapters on a server: what is proved, what is caught, and that no request is decoded by the wrong one."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import torch
from peft import LoraConfig, get_peft_model

from engine.core.errors import ConfigError
from engine.core.events import Notice
from engine.core.holds import Holds
from engine.models.base import Message, NotPublished, Opening, Sampling
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from engine.models.vllm.adapters import Adapters
from engine.models.vllm.metrics import Watch
from engine.models.vllm.opening import open_models
from engine.models.vllm.reference import Reference
from engine.models.vllm.server import OtherServer
from engine.models.vllm.settings import VllmModelSettings
from tests.models.standin import HANG, Raw, StandIn, Status
from tests.models.vllm.served import VllmStandIn

ASK = [Message("user", "Where is the mug?")]
SHORT = Sampling(max_tokens=6, temperature=1.0)


def base():
    return load_base(LocalModelSettings())


@pytest.fixture(scope="module")
def reference():
    return Reference(base(), load_tokenizer(LocalModelSettings()))


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """The adapters of a run: the second and third are one small step from the one before, the fourth not even that. The last
    is far away."""
    folder = tmp_path_factory.mktemp("adapters")
    torch.manual_seed(4)
    network = get_peft_model(base(), LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    paths = []
    for number, size in enumerate((3e-2, 3e-3, 3e-3, 1e-5, 0.2), start=1):
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.data += torch.randn_like(parameter) * size
        paths.append(folder / f"step-{number:04d}")
        network.save_pretrained(str(paths[-1]))
    return paths


@asynccontextmanager
async def adapters_on(server, reference, tmp_path):
    """The adapters on a stand-in, checked."""
    other, events = OtherServer(server.url.removesuffix("/v1")), []
    adapters = Adapters(other, base="base", reference=reference, emit=events.append)
    adapters.events = events
    try:
        await adapters.check(tmp_path, 8)
        yield adapters
    finally:
        await adapters.close()
        await other.stop()


@asynccontextmanager
async def opened_on(server, tmp_path, **given):
    events, holds = [], given.pop("holds", Holds())
    settings = VllmModelSettings(url=server.url, context=4096, **given)
    opened = await open_models(settings, Opening(lora_rank=8, emit=events.append, holds=holds, folder=tmp_path))
    try:
        yield opened, events
    finally:
        await opened.close()


@pytest.fixture
def serving(reference):
    """Makes a stand-in that knows the texts of the proof."""
    return lambda **options: VllmStandIn(texts=reference.texts, **options)


async def test_each_step_is_proved_though_one_token_alone_is_below_the_noise(serving, reference, steps, tmp_path):
    with serving(noise=0.03) as server:
        async with adapters_on(server, reference, tmp_path) as adapters:
            proofs = [await adapters.publish(path, step) for step, path in enumerate(steps[:3], start=1)]
            assert [proof.unmeasured for proof in proofs] == ["", "", ""]
            assert proofs[1].noise > 0.02 and proofs[1].separation < 0.2 and proofs[0].separation > proofs[1].separation
            assert list(server.adapters) == ["curator-v3"] and adapters.current.version == 3
        assert server.adapters == {}
    probes = [asked.body for asked in server.asked if asked.path == "/v1/completions"]
    assert probes and not any("prompt_logprobs" in body or body["max_tokens"] > 1 for body in probes)


@pytest.mark.slow
async def test_a_step_below_the_noise_is_unmeasured_and_the_next_one_is_compared_with_the_last_that_was_proved(
    serving, reference, steps, tmp_path
):
    with serving(noise=0.03) as server:
        async with adapters_on(server, reference, tmp_path) as adapters:
            await adapters.publish(steps[2], 1)
            proof = await adapters.publish(steps[3], 2)
            assert proof.unmeasured.startswith("below the noise: the adapters differ by 0.000")
            assert adapters.current.version == 2 and list(server.adapters) == ["curator-v2"]
            server.decodes_as["curator-v3"] = "base"
            with pytest.raises(NotPublished):
                await adapters.publish(steps[3], 3)


@pytest.mark.parametrize("wrong", ["curator-v1", pytest.param("base", marks=pytest.mark.slow)])
async def test_a_server_that_serves_the_wrong_adapter_is_caught_and_the_old_one_goes_on(
    serving, reference, steps, tmp_path, wrong
):
    with serving(noise=0.01) as server:
        async with adapters_on(server, reference, tmp_path) as adapters:
            await adapters.publish(steps[0], 1)
            server.decodes_as["curator-v2"] = wrong
            with pytest.raises(NotPublished, match="the served log-probabilities are"):
                await adapters.publish(steps[1], 2)
            assert adapters.current.version == 1 and list(server.adapters) == ["curator-v1"]


@pytest.mark.slow
async def test_a_server_on_which_adapters_have_no_effect_is_found_before_anything_is_played(
    serving, reference, tmp_path
):
    with serving() as server:
        server.decodes_as["curator-v0"] = "base"
        with pytest.raises(NotPublished, match="does not show the effect of an adapter made to test it"):
            async with adapters_on(server, reference, tmp_path):
                raise AssertionError


@pytest.mark.slow
async def test_a_server_with_another_base_is_refused(serving, reference, steps, tmp_path):
    with serving(adapters={"other": str(steps[4])}) as server:
        server.decodes_as["base"] = "other"
        with pytest.raises(ConfigError, match=r"base on the vLLM server is not the trainer's.*model\.weights must be"):
            async with adapters_on(server, reference, tmp_path):
                raise AssertionError


async def test_an_adapter_that_is_not_what_was_trained_is_not_published(steps):
    network = base()
    reference = Reference(network, load_tokenizer(LocalModelSettings()))
    trained = get_peft_model(reference.lend(), LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    with pytest.raises(NotPublished, match="step-0001 is not the one that was trained: base_model"):
        reference.table(steps[0])
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(trained, load_file(steps[0] / "adapter_model.safetensors"))
    plain = Reference(base(), load_tokenizer(LocalModelSettings()))
    assert reference.table(steps[0]) == plain.table(steps[0])


@pytest.mark.slow
async def test_swaps_under_load_fail_no_call_and_no_call_is_decoded_by_another_adapter(serving, steps, tmp_path):
    with serving(seconds_a_token=0.01, context=4096) as server:
        async with opened_on(server, tmp_path) as (opened, _):
            done, ending = [], False

            async def asking(seed):
                while not ending:
                    ask = Sampling(max_tokens=6, seed=seed)
                    done.append(await opened.models.curator.complete(ASK, ask))

            callers = [asyncio.create_task(asking(seed)) for seed in range(8)]
            for step, path in enumerate(steps[:3], start=1):
                await opened.sink.publish(path, step)
                await asyncio.sleep(0.3)
            ending = True
            await asyncio.gather(*callers)
        chats = [asked for asked in server.chats if asked.last == "Where is the mug?"]
        assert {asked.status for asked in chats} == {200} and len(chats) == len(done)
        assert {completion.version for completion in done} == {0, 1, 2, 3}
        of_server = sorted(asked.decoder.partition("-v")[2].partition("-")[0] or "0" for asked in chats)
        assert of_server == sorted(str(completion.version) for completion in done)


@pytest.mark.slow
async def test_an_old_adapter_stays_until_its_requests_end_and_an_adapter_that_was_forgotten_is_loaded_again(
    serving, steps, tmp_path
):
    with serving(context=4096) as server:
        async with opened_on(server, tmp_path) as (opened, events):
            await opened.sink.publish(steps[0], 1)
            answer, waiting, going = server.answer, asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()

            async def slowly(asked):
                loop.call_soon_threadsafe(waiting.set)
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(going.wait(), loop))
                return await answer(asked)

            server.answer = slowly
            slow = asyncio.create_task(opened.models.curator.complete(ASK, SHORT))
            await waiting.wait()
            server.answer = answer
            publishing = asyncio.create_task(opened.sink.publish(steps[1], 2))
            while len(server.adapters) < 2 or (await opened.models.curator.complete(ASK, SHORT)).version < 2:
                await asyncio.sleep(0.02)
            assert len(server.adapters) == 2 and not publishing.done()
            going.set()
            assert (await slow).version == 1
            await publishing
            assert len(server.adapters) == 1
            server.adapters.clear()
            together = await asyncio.gather(*(opened.models.curator.complete(ASK, SHORT) for _ in range(4)))
            assert [completion.version for completion in together] == [2] * 4
            assert any("has forgotten the adapters" in event.message for event in events if isinstance(event, Notice))


@pytest.mark.parametrize(
    "options, given, error, message",
    [
        pytest.param(
            *({"max_lora_rank": 4}, {}, NotPublished),
            r"rank is above its limit .*lower training\.lora_rank, or start the server",
            marks=pytest.mark.slow,
        ),
        (
            {"without": {"/v1/load_lora_adapter"}},
            {},
            ConfigError,
            "cannot load adapters while it runs: start it with --enable-lora",
        ),
        ({"context": 2048}, {}, ConfigError, r"takes 2048 tokens .*and model\.context=4096: lower that"),
        ({"model": "other"}, {"name": "mine"}, ConfigError, r"has no model 'mine'; it has: other; set model\.name"),
        ({"omits": {"prompt_token_ids"}}, {}, ConfigError, "gives no token ids"),
    ],
)
async def test_a_server_that_cannot_be_trained_with_is_refused_with_what_to_change(
    serving, tmp_path, options, given, error, message
):
    with serving(**options) as server, pytest.raises(error, match=message):
        async with opened_on(server, tmp_path, **given):
            raise AssertionError


@pytest.mark.parametrize(
    "answer, message",
    [
        (Status(401, "Unauthorized"), r"refuses to list its models \(HTTP 401\): set model\.key to the name of a key"),
        (Status(307, headers={"Location": "http://other:1/"}), r"sends requests on to http://other:1/ \(HTTP 307\)"),
        (Status(404, "Not Found"), r"no vLLM server answers at model\.url=.*\(HTTP 404\).*correct the address"),
        (Raw(b"<html>"), r"no vLLM server answers at .*is none of vLLM's"),
    ],
)
async def test_what_answers_at_the_address_and_is_no_server_for_us_is_named(tmp_path, answer, message):
    with StandIn() as server:
        server.on("/v1/models", answer)
        with pytest.raises(ConfigError, match=message):
            await open_models(VllmModelSettings(url=server.url), Opening(folder=tmp_path))


async def test_where_no_server_answers_the_message_names_the_address(tmp_path):
    with pytest.raises(ConfigError, match=r"no vLLM server answers at model\.url=http://127\.0\.0\.1:9"):
        await open_models(VllmModelSettings(url="http://127.0.0.1:9"), Opening(folder=tmp_path))


async def test_a_disk_without_room_for_the_adapter_that_tests_the_server_is_named(serving, reference, tmp_path):
    (tmp_path / "logs").write_text("a file, where the folder is to be")
    with serving() as server:
        adapters = Adapters(OtherServer(server.url.removesuffix("/v1")), base="base", reference=reference, emit=list)
        with pytest.raises(ConfigError, match=r"canary, cannot be written: .*, or let the run be in another folder"):
            await adapters.check(tmp_path / "logs", 8)
        await adapters.close()


async def test_quantized_weights_are_refused_for_the_curator_that_is_trained(tmp_path):
    with pytest.raises(ConfigError, match=r"set it in \[executor_model\]"):
        await open_models(VllmModelSettings(quantization="fp8"), Opening(lora_rank=8, folder=tmp_path))


async def test_a_server_whose_tokens_stand_still_pauses_the_run_until_they_grow(serving):
    with serving() as server:
        other, events, holds = OtherServer(server.url.removesuffix("/v1")), [], Holds()
        settings = VllmModelSettings(stall_seconds=0.2, on_stall="restart")
        watch = Watch(other, settings, Opening(emit=events.append, holds=holds), events.append, every=0.05)
        watching = asyncio.create_task(watch.run())
        server.metrics.running_now, server.metrics.frozen = 3, True
        async with asyncio.timeout(5):
            while not holds.reason:
                await asyncio.sleep(0.02)
        assert "made no token in 0 s though requests wait (a deadlock)" in holds.reason
        server.metrics.generated += 5
        async with asyncio.timeout(5):
            while holds.reason:
                await asyncio.sleep(0.02)
        watching.cancel()
        await other.stop()


@pytest.mark.parametrize("how", ["deadlock", "silent"])
async def test_a_server_that_is_stuck_while_an_adapter_is_loaded_is_restarted(how, tmp_path):
    with StandIn() as stuck:
        asked = []

        class Stuck(OtherServer):
            async def restart(self, reason):
                asked.append(reason)
                return True

        url = stuck.url.removesuffix("/v1") if how == "deadlock" else "http://127.0.0.1:9"
        other, settings = Stuck(url), VllmModelSettings(stall_seconds=0.2)
        watch = Watch(other, settings, Opening(), lambda event: None, lambda: other.api.pending, every=0.05)
        stuck.on("/v1/load_lora_adapter", HANG)
        loading = asyncio.create_task(other.api.load("curator-v1", tmp_path))
        watching = asyncio.create_task(watch.run())
        async with asyncio.timeout(5):
            while not asked:
                await asyncio.sleep(0.02)
        said = (
            "made no token in 0 s though requests wait" if how == "deadlock" else "did not report its metrics for 0 s"
        )
        assert said in asked[0]
        for task in (loading, watching):
            task.cancel()
        await asyncio.gather(loading, watching, return_exceptions=True)
        await other.stop()


async def test_a_server_of_others_that_is_down_while_an_adapter_is_published_pauses_the_run(tmp_path):
    holds, restored = Holds(), []
    with StandIn() as first:
        port = int(first.url.removesuffix("/v1").rpartition(":")[2])
    other = OtherServer(f"http://127.0.0.1:{port}", holds=holds)

    async def restore():
        restored.append(True)

    other.restored = restore
    lost = asyncio.create_task(other.lost(0))
    async with asyncio.timeout(5):
        while not holds.reason:
            await asyncio.sleep(0.02)
    assert "does not answer; the run waits, and goes on when it does" in holds.reason
    holds.resume()
    assert holds.reason and not lost.done()
    with StandIn(port=port):
        assert await asyncio.wait_for(lost, 10) and restored and not holds.reason
        assert not await other.lost(0)
    await other.stop()


@pytest.mark.slow
async def test_a_load_that_the_server_refuses_leaves_the_old_adapter(serving, reference, steps, tmp_path):
    with serving() as server:
        async with adapters_on(server, reference, tmp_path) as adapters:
            server.on("/v1/load_lora_adapter", Status(500, "out of memory"))
            with pytest.raises(NotPublished, match=r"does not take the adapter .*: out of memory"):
                await adapters.publish(steps[0], 1)
            assert adapters.current.version == 0


async def test_an_adapter_that_was_trained_elsewhere_is_looked_at_for_an_effect(serving, steps, tmp_path):
    with serving() as server:
        for wrong in (False, True):
            events, other = [], OtherServer(server.url.removesuffix("/v1"))
            adapters = Adapters(other, base="base", reference=None, emit=events.append)
            if wrong:
                server.decodes_as["curator-v0"] = "base"
            await adapters.put(steps[0])
            assert ["has no effect on the vLLM server" in event.message for event in events] == [True] * wrong
            await adapters.close()
            await other.stop()


async def test_an_answer_without_token_ids_is_asked_again_where_the_curator_is_trained(serving, tmp_path):
    with serving() as server:
        async with opened_on(server, tmp_path) as (opened, _):
            answer, asked = server.answer, []

            async def without_ids(request):
                asked.append(request.model)
                if len(asked) == 1:
                    del request.body["return_token_ids"]
                return await answer(request)

            server.answer = without_ids
            completion = await opened.models.curator.complete([Message("user", "hello")], Sampling(max_tokens=4))
    assert completion.tokens is not None and len(asked) == 2
