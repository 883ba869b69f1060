"""The lesson in tool calls: every example is a call that applies, and the quick loss is the plain one."""

import pytest
import torch

from engine.curation.calls import apply_calls
from engine.recipes.smol import train
from engine.recipes.smol.examples import FIRST_HOUSE, examples
from engine.skills import SkillRepo, parse_operations
from tests.models.small import base, tokenizer


def test_every_example_is_one_call_that_applies_and_is_in_the_prompts_words():
    made = list(examples(48, seed=1))
    assert made == list(examples(48, seed=1))
    kinds = set()
    for example in made:
        (operation,) = parse_operations(example.reply)
        kinds.add(operation.kind)
        if operation.kind == "insert":
            calls, _ = apply_calls([operation], SkillRepo.empty())
            assert [call.verdict for call in calls] == ["valid"]
            body = operation.content.split("---\n")[-1].strip()
            words = [word.strip(".") for word in body.split()]
            assert words[-1] in example.messages[-1].content or body == "Try every place."
        else:
            assert f"- {operation.skill_name}:" in example.messages[-1].content
    assert kinds == {"insert", "update"} and FIRST_HOUSE > 1_500_000_000


def test_the_prefix_is_what_all_prompts_share():
    assert train.shared_prefix([[1, 2, 3], [1, 2, 4, 5], [1, 2]]) == [1, 2]


def test_the_loss_with_a_shared_prefix_is_that_without():
    network, words = base(), tokenizer()
    rows = [train.encoded(words, example) for example in list(examples(2, seed=3))]
    prefix = train.shared_prefix([prompt for prompt, _ in rows])
    quick = train.loss_of(network, prefix, rows, words.pad_token_id)
    total, count = 0.0, 0
    for prompt, answer in rows:
        logits = network(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
        count += len(answer)
    assert len(prefix) > 100 and quick.item() == pytest.approx(total / count, rel=1e-4)
    quick.backward()
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in network.parameters())
