"""Any folder of transformers: each architecture's template, end tokens, layers and files, beside plain forward passes."""

import asyncio
import json
import math
from collections import Counter

import pytest
import torch

from engine.core.errors import ConfigError
from engine.models.base import Message, Opening, PromptTooLong, Sampling
from engine.models.local.chat import ChatTemplate
from engine.models.local.files import check_context
from engine.models.local.kind import check
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from tests.models import architectures
from tests.models.architectures import KINDS, make
from tests.models.small import with_adapter

CHAT = [Message("system", "Be brief."), Message("user", "Get the mug.")]
OPTIONS = ["<action>look</action>", "<action>go to box 1</action>", "<action>go to box 12</action>"]
TREES = {"llama", "qwen2", "phi3", "gpt2"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: make(name, folder) for name in KINDS}


def settings(folder, **more):
    return LocalModelSettings(weights=str(folder), **{"context": 256, **more})


async def opened(folder, **more):
    notices = []
    models = await open_models(settings(folder, **more), Opening(emit=notices.append))
    return models.sink, notices


def forward(network, ids):
    """ln p of every token after each of `ids`, by one pass without padding or cache."""
    with torch.inference_mode():
        return network(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().log_softmax(-1)


@pytest.mark.parametrize("name", KINDS)
async def test_completions_scores_and_choices_are_those_of_plain_forward_passes(folders, name):
    local, _ = await opened(folders[name])
    assert local._trees is (name in TREES)
    assert local._joins is (name in TREES)
    others = [local.executor.complete([Message("user", "go " * n)], Sampling(max_tokens=6, seed=n)) for n in (3, 9)]
    drawn, chosen, scores, *_ = await asyncio.gather(
        local.executor.complete(CHAT, Sampling(max_tokens=6, temperature=0.7, top_p=0.9, seed=4)),
        local.executor.choose(CHAT, OPTIONS, Sampling(seed=4)),
        local.executor.loglikelihood(CHAT, "<action>", [option.removeprefix("<action>") for option in OPTIONS]),
        *others,
    )
    words = local.vocabulary
    for completion in (drawn, chosen):
        prompt, ids = completion.tokens.prompt_ids, completion.tokens.completion_ids
        logprobs = forward(local.network, prompt + ids)
        expected = [float(logprobs[len(prompt) + at - 1, token]) for at, token in enumerate(ids)]
        assert completion.tokens.logprobs == pytest.approx(expected, abs=2e-3)
    assert chosen.text in OPTIONS and words.decode(chosen.tokens.completion_ids[:-1]) == chosen.text
    for option, score in zip(OPTIONS, scores, strict=True):
        ids = words(option, add_special_tokens=False)["input_ids"]
        logprobs = forward(local.network, prompt + ids)
        counted = [float(logprobs[len(prompt) + at - 1, ids[at]]) for at in range(1, len(ids))]
        assert score == pytest.approx(sum(counted) / len(counted), abs=2e-3)


def test_a_template_that_begins_the_text_is_not_given_a_second_beginning(folders):
    for name in ("llama", "gemma", "mistral"):
        tokenizer = load_tokenizer(settings(folders[name]))
        ids = ChatTemplate(tokenizer).prompt_ids(CHAT)
        assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


def test_a_system_message_that_the_template_refuses_goes_before_the_users(folders):
    gemma = ChatTemplate(load_tokenizer(settings(folders["gemma"])))
    assert gemma.render(CHAT) == (
        "<begin><start_of_turn>user\nBe brief.\n\nGet the mug.<end_of_turn>\n<start_of_turn>model\n"
    )


def test_turns_of_one_role_are_one_turn_where_roles_must_alternate(folders):
    mistral = ChatTemplate(load_tokenizer(settings(folders["mistral"])))
    chat = [*CHAT, Message("user", "Quick."), Message("assistant", "Done."), Message("user", "And the cup.")]
    assert (
        mistral.render(chat)
        == "<begin>[INST]Be brief.\n\nGet the mug.\n\nQuick.[/INST]Done.</s>[INST]And the cup.[/INST]"
    )
    with pytest.raises(ConfigError, match="chat template refuses a chat of assistant: roles must alternate"):
        mistral.render([Message("assistant", "Done.")])


@pytest.mark.parametrize("name", KINDS)
def test_no_message_can_end_a_turn_or_begin_one(folders, name):
    tokenizer = load_tokenizer(settings(folders[name]))
    template = ChatTemplate(tokenizer)
    hostile = f"a{''.join(tokenizer.all_special_tokens)}b"
    quiet, loud = ([Message("system", text), Message("user", text)] for text in ("ab", hostile))
    special = set(tokenizer.all_special_ids)
    counted = [[token for token in template.prompt_ids(chat) if token in special] for chat in (quiet, loud)]
    assert counted[0] == counted[1]


async def test_an_answer_ends_with_any_of_the_models_end_tokens(folders, tmp_path):
    asked = [Sampling(max_tokens=20, seed=seed) for seed in range(24)]
    plain, _ = await opened(folders["llama"])
    free = await asyncio.gather(*(plain.executor.complete(CHAT, sampling) for sampling in asked))
    often = Counter(token for completion in free for token in completion.tokens.completion_ids).most_common(2)
    ends = [token for token, _ in often]
    local, _ = await opened(make("llama", tmp_path, generation={"eos_token_id": ends}))
    last = set()
    for completion in await asyncio.gather(*(local.executor.complete(CHAT, sampling) for sampling in asked)):
        ids = completion.tokens.completion_ids
        assert not {*ends, local.vocabulary.eos_token_id} & set(ids[:-1])
        assert completion.text == local.vocabulary.decode(ids[:-1] if completion.finish == "stop" else ids)
        last |= {ids[-1]} if completion.finish == "stop" else set()
    assert last >= set(ends)


def test_the_token_after_an_answer_in_the_template_ends_it_whatever_the_files_say(folders):
    for name, token in (("gemma", "<end_of_turn>"), ("phi3", "<|end|>")):
        tokenizer = load_tokenizer(settings(folders[name]))
        assert tokenizer.eos_token != token
        assert ChatTemplate(tokenizer).ends == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(token)}


async def test_what_the_files_of_a_model_say_of_sampling_does_not_change_its_probabilities(folders, tmp_path):
    penalty = {"repetition_penalty": 5.0, "temperature": 0.1, "suppress_tokens": [5]}
    local, _ = await opened(make("qwen2", tmp_path, generation={"do_sample": True, **penalty}))
    plain, _ = await opened(folders["qwen2"])
    asked = Sampling(max_tokens=20, seed=3)
    assert (await local.executor.complete(CHAT, asked)).tokens == (await plain.executor.complete(CHAT, asked)).tokens


# What a template does not know


async def test_tools_that_a_template_drops_are_written_into_the_prompt_and_said_once(folders):
    tool = {"type": "function", "function": {"name": "insert_skill", "description": "Adds one.", "parameters": {}}}
    local, notices = await opened(folders["llama"])
    for _ in range(2):
        completion = await local.curator.complete(CHAT, Sampling(max_tokens=1), [tool])
        assert "insert_skill: Adds one." in local.vocabulary.decode(completion.tokens.prompt_ids)
    [notice] = notices
    assert notice.level == "warning" and "leaves tools out" in notice.message


async def test_thinking_is_the_templates_and_one_that_does_not_know_it_is_reported_once(folders):
    local, notices = await opened(folders["qwen2"])
    prompts = [
        local.vocabulary.decode(
            (await local.executor.complete(CHAT, Sampling(max_tokens=1, thinking=thinking))).tokens.prompt_ids
        )
        for thinking in (None, True, False)
    ]
    assert [prompt.endswith("<think></think>") for prompt in prompts] == [False, False, True] and notices == []
    local, notices = await opened(folders["llama"])
    for thinking in (True, False):
        await local.executor.complete(CHAT, Sampling(max_tokens=1, thinking=thinking))
    assert len(notices) == 1 and "knows no enable_thinking" in notices[0].message


def test_a_model_without_a_chat_template_is_refused_with_the_reason(tmp_path):
    folder = make("gpt2", tmp_path, chats=False)
    with pytest.raises(ConfigError, match="its tokenizer has no chat template, so it cannot answer a chat"):
        check(settings(folder))


# The context


@pytest.mark.parametrize("name", ["llama", "gpt2"])
async def test_a_context_that_the_model_cannot_read_is_refused(folders, name):
    wrong = settings(folders[name], context=513)
    for attempt in (lambda: check(wrong), lambda: asyncio.run(open_models(wrong, Opening()))):
        with pytest.raises(
            ConfigError, match=r"model\.context=513 is more than the 512 tokens that the model .* can read"
        ):
            await asyncio.to_thread(attempt)
    check(settings(folders[name], context=512))
    local, _ = await opened(folders[name], context=512)
    with pytest.raises(PromptTooLong):
        await local.executor.complete([Message("user", "mug " * 600)], Sampling(max_tokens=5))


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"max_position_embeddings": 100}, 100),
        ({"text_config": {"max_position_embeddings": 100}}, 100),
        ({"max_position_embeddings": 100, "rope_scaling": {"type": "yarn", "factor": 4.0}}, 400),
        (
            {
                "max_position_embeddings": 400,
                "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 100},
            },
            400,
        ),
        ({"max_position_embeddings": 800, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 800),
        ({"hidden_size": 5}, None),
        ({"max_position_embeddings": -1}, None),
    ],
)
def test_how_much_a_model_can_read_is_in_its_configuration(config, most):
    assert check_context(LocalModelSettings(context=most or 10**6), config) == (most or 10**6)
    assert check_context(LocalModelSettings(context=0), config) == most
    if most:
        with pytest.raises(ConfigError, match=f"the {most} tokens"):
            check_context(LocalModelSettings(context=most + 1), config)


# Files that cannot be used


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model_type": "unheard-of"}, "unheard-of"),
        ({"model_type": "t5"}, "cannot be loaded"),
        ({"num_attention_heads": "two"}, "expected int, got str"),
        (
            {"auto_map": {"AutoConfig": "x.Y", "AutoModelForCausalLM": "x.Y"}, "model_type": "own"},
            "contains custom code",
        ),
        (
            {"num_hidden_layers": 3},
            r"weights lack 9 of the tensors that its config\.json describes, such as model\.layers",
        ),
        (
            {"vocab_size": 700},
            r"do not fit its config\.json: .*embed_tokens\.weight has the shape \[\d+, 32\] and .*700",
        ),
    ],
    ids=["unknown", "no causal model", "wrong type", "code of its own", "missing weights", "other shapes"],
)
async def test_files_that_transformers_cannot_use_are_one_sentence(tmp_path, change, why):
    folder = make("llama", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ConfigError, match=why) as raised:
        await open_models(settings(folder), Opening())
    assert str(raised.value).count("\n") == 0


def test_a_template_that_leaves_out_the_messages_is_refused(tmp_path):
    folder = make("llama", tmp_path)
    (folder / "chat_template.jinja").write_text("{{ bos_token }}<|im_start|>assistant\n")
    with pytest.raises(ConfigError, match="chat template leaves out what the user says"):
        load_tokenizer(settings(folder))


async def test_an_end_token_that_the_model_does_not_have_is_refused(tmp_path):
    folder = make("llama", tmp_path)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token": "<another>"}))
    with pytest.raises(ConfigError, match=r"ends an answer with the token (\d+), and the model has \1"):
        await open_models(settings(folder), Opening())


def test_one_base_is_in_memory_for_both_roles(folders, tmp_path):
    """What is counted are the bytes of all parameters that are alive, shared ones once."""
    import gc

    from peft import LoraConfig, get_peft_model

    def held():
        alive = (item for item in gc.get_objects() if isinstance(item, torch.nn.Parameter))
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in alive}
        return sum(storages.values())

    one = settings(folders["llama"])
    adapted = get_peft_model(load_base(one), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapted.save_pretrained(tmp_path / "adapter")
    del adapted
    gc.collect()
    nothing = held()
    base = load_base(one)
    alone = held() - nothing
    del base
    gc.collect()
    models = asyncio.run(open_models(one, Opening(adapter=tmp_path / "adapter")))
    assert models.models.executor is not models.models.curator
    adapter = (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size
    assert alone < held() - nothing < alone + 1.2 * adapter < 1.5 * alone
    assert math.isfinite(alone)


async def test_in_bfloat16_base_and_adapter_answer_score_and_choose_by_their_own_weights(folders, tmp_path):
    adapted = with_adapter(load_base(settings(folders["llama"])))
    adapted.save_pretrained(tmp_path / "adapter")
    opened = await open_models(settings(folders["llama"], dtype="bfloat16"), Opening(adapter=tmp_path / "adapter"))
    local = opened.sink
    assert local.network.dtype == torch.bfloat16 and local._trees
    roles = (opened.models.executor, opened.models.curator)
    for ask in (
        lambda model: model.complete(CHAT, Sampling(max_tokens=8, seed=1)),
        lambda model: model.choose(CHAT, OPTIONS, Sampling(seed=1)),
    ):
        base, trained = await asyncio.gather(*map(ask, roles))
        assert base.tokens.logprobs != trained.tokens.logprobs
        assert all(map(math.isfinite, base.tokens.logprobs + trained.tokens.logprobs))
    base, trained = await asyncio.gather(*(model.loglikelihood(CHAT, "", OPTIONS) for model in roles))
    assert base != pytest.approx(trained, abs=0.05)


def test_the_names_of_the_kinds_are_all_tried():
    assert set(architectures.KINDS) > TREES
