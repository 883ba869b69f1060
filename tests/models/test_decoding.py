"""Rows that begin and end at different times draw what each draws alone, by transformers' own `generate`."""

import pytest
import torch

from engine.models.base import NotFinite, Sampling
from engine.models.local.choosing import Options
from engine.models.local.decoding import Asked, Decoder
from engine.models.local.merging import Base, Merged, mergeable
from engine.models.local.sampling import generate
from tests.models import small
from tests.models.architectures import make

DRAWN = Sampling(temperature=0.9, top_p=0.95, top_k=50, min_p=0.01)
BEGINNING = [(number * 37) % 700 + 3 for number in range(40)]
PROMPTS = [[*BEGINNING[:shared], *range(50 + n, 58 + 3 * n)] for n, shared in enumerate((40, 40, 5, 33, 0, 40))]


@pytest.fixture(scope="module")
def words():
    return small.tokenizer()


def network_of(name, folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(make(name, folder)).eval() if name != "qwen3" else small.base()


def decoder_of(network, words, sampling=DRAWN, ends=()):
    return Decoder(network, words, sampling, ends=ends, model="executor")


def all_of(decoder, waves, tokens=12):
    """Rows of prompts by number, which join wave after wave as soon as a row has ended."""
    waves = [[Asked(PROMPTS[n], n, tokens + 3 * n, tag=n) for n in wave] for wave in waves]
    answers = {}
    while waves or len(decoder):
        answers |= {asked.tag: drawn for asked, drawn in decoder.advance(waves.pop(0) if waves else [])}
    return answers


def alone(network, words, number, tokens=12, sampling=DRAWN, ends=()):
    more = {"max_tokens": tokens + 3 * number, "stop": sampling.stop}
    from msgspec.structs import replace

    [drawn] = generate(
        network, words, [PROMPTS[number]], replace(sampling, **more), [number], ends=ends or {words.eos_token_id},
        model="executor",
    )  # fmt: skip
    return drawn


def check(drawn, expected):
    assert drawn.tokens.completion_ids == expected.tokens.completion_ids
    assert drawn.tokens.logprobs == pytest.approx(expected.tokens.logprobs, abs=1e-4)
    assert (drawn.text, drawn.finish) == (expected.text, expected.finish)


@pytest.mark.parametrize("name", ["qwen3", "llama", "phi3", "gpt2"])
def test_rows_that_join_in_any_company_draw_what_each_draws_alone(name, words, tmp_path):
    network = network_of(name, tmp_path)
    ends = {words.eos_token_id}
    expected = {number: alone(network, words, number) for number in range(len(PROMPTS))}
    for waves in ([range(6)], [[0], [1, 2], [3], [4, 5]], [[5, 4], [3, 2, 1, 0]]):
        answers = all_of(decoder_of(network, words, ends=ends), waves)
        for number, drawn in answers.items():
            check(drawn, expected[number])
        assert len(answers) == len(PROMPTS)


def test_what_prompts_have_in_common_is_read_once(words):
    """Beside each other, and after each other: a slot keeps what its last row has read."""
    network, read = small.base(), []
    network.register_forward_pre_hook(
        lambda module, given, named: read.append(named["input_ids"].shape), with_kwargs=True
    )
    decoder = decoder_of(network, words)
    same = BEGINNING * 3
    decoder.advance([Asked([*same, n], n, 1) for n in range(4)])
    assert read == [(1, 121), (3, 1)]
    read.clear()
    decoder.advance([Asked([*same, n, n], n, 1) for n in range(4)])
    assert read == [(4, 1)]


def test_a_row_without_anyone_who_waits_ends_at_its_next_token_and_a_row_that_ended_is_not_computed(words):
    network, rows, unwanted = small.base(), [], set()

    def passes(module, given, named):
        rows.append(len(named["input_ids"]))
        if len(rows) == 4:
            unwanted.add(1)

    decoder = decoder_of(network, words)
    network.register_forward_pre_hook(passes, with_kwargs=True)
    asked = [Asked(PROMPTS[4], n, (2, 30, 9)[n], wanted=lambda n=n: n not in unwanted, tag=n) for n in range(3)]
    ended = [(asked.tag, len(drawn.tokens.completion_ids)) for asked, drawn in decoder.advance(asked)]
    while len(decoder):
        ended += [(asked.tag, len(drawn.tokens.completion_ids)) for asked, drawn in decoder.advance()]
    assert ended == [(0, 2), (1, 4), (2, 9)]
    assert rows[-8:] == [3, 2, 2, 1, 1, 1, 1, 1]


def test_stop_texts_ends_and_choices_end_rows_apart(words):
    network = small.base()
    options = Options(words(["go to box 1", "look"], add_special_tokens=False)["input_ids"], {words.eos_token_id})
    [(_, chosen)] = decoder_of(network, words, ends={words.eos_token_id}).advance(
        [Asked(PROMPTS[1], 1, options.longest + 1, options=options)]
    )
    assert chosen.option in (0, 1) and chosen.finish == "stop"
    plain = alone(network, words, 5)
    stop = plain.text[2:4]
    sampling = Sampling(temperature=0.9, top_p=0.95, top_k=50, min_p=0.01, stop=(stop,))
    answers = all_of(decoder_of(network, words, sampling, ends={words.eos_token_id}), [[5, 4], [3]])
    check(answers[5], alone(network, words, 5, sampling=sampling))
    assert stop not in answers[5].text and answers[5].finish == "stop"


def test_an_interrupted_batch_keeps_its_rows(words):
    decoder = decoder_of(small.base(), words)
    assert decoder.advance([Asked(PROMPTS[0], 0, 12)], lambda: True) == [] and len(decoder) == 1
    (ended,) = decoder.advance()
    check(ended[1], alone(small.base(), words, 0))


def test_a_row_draws_nothing_from_what_is_no_number(words):
    network = small.base()
    with torch.no_grad():
        network.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(NotFinite):
        decoder_of(network, words).advance([Asked(PROMPTS[0], 0, 5)])


def test_an_adapter_in_the_weights_answers_as_beside_them_and_leaves_the_base_as_it_was(words):
    network = small.with_adapter(small.base())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    beside = alone(network, words, 2)
    adapter = Merged(network)
    for _ in range(2):
        with adapter.on():
            check(all_of(decoder_of(network, words, ends={words.eos_token_id}), [[2]])[2], beside)
        after = network.state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
        check(alone(network, words, 2), beside)


def test_a_network_is_its_base_while_its_adapter_is_off_and_has_it_afterwards(words):
    network = small.with_adapter(small.base())
    beside, base = alone(network, words, 2), Base(network)
    with base.bare():
        check(alone(network, words, 2), alone(small.base(), words, 2))
    check(alone(network, words, 2), beside)


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}, {"modules_to_save": ["lm_head"]}])
def test_an_adapter_of_more_than_two_matrices_a_layer_is_not_merged_and_can_be_off(words, more):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, **more)
    network = get_peft_model(small.base(), config).eval()
    assert mergeable(small.with_adapter(small.base())) and not mergeable(network)
    with Base(network).bare():
        check(alone(network, words, 2), alone(small.base(), words, 2))
