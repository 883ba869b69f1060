"""GRPO updates written out from the method's formulas, with neither TRL nor PEFT, in 64-bit floats.

    expected = updated(adapter, steps, settings)          # adapter: {"…q_proj": (A, B)}; steps: rows and advantages

Written for tests: every setting that the trainer hands on has its place in a formula here.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch

from tests.models import small


@dataclass(frozen=True)
class Settings:
    learning_rate: float = 1e-2
    alpha: float = 8.0
    clip: float = 0.2
    kl: float = 0.0
    corrected: bool = True
    max_grad_norm: float = 1.0
    temperature: float = 1.0


def first_adapter(seed, rank):
    """Each linear layer's A, drawn as torch draws a linear layer's weights, and B = 0; the output layer has none."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(small.base(), LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    return pairs(dict(model.named_parameters()))


def pairs(parameters):
    """{"…q_proj": (A, B)} in 64 bits, of a PEFT model's parameters."""
    found = {}
    for name, value in parameters.items():
        if "lora_A" in name:
            key = name.split("base_model.model.")[1].split(".lora_A")[0]
            found[key] = (
                value.detach().double().clone(),
                parameters[name.replace("lora_A", "lora_B")].detach().double().clone(),
            )
    return found


@cache
def base_model():
    return small.base().double()


def logprobs(adapter, row, settings):
    """ln p of each completion token at the temperature, with every weight W + (α / r)·B·A."""
    base = base_model()
    weights = dict(base.named_parameters())
    for name, (a, b) in adapter.items():
        weights[f"{name}.weight"] = weights[f"{name}.weight"].detach() + settings.alpha / a.shape[0] * (b @ a)
    ids = torch.tensor([row.prompt_ids + row.completion_ids])
    logits = torch.func.functional_call(base, weights, (ids,)).logits[0, len(row.prompt_ids) - 1 : -1]
    return (logits / settings.temperature).log_softmax(-1).gather(-1, torch.tensor(row.completion_ids)[:, None])[:, 0]


def loss_of(adapter, rows, advantages, settings):
    """The mean over all trained tokens of −min(ρA, clip(ρ)A) + β·KL, with ρ = 1 in the one update of a batch."""
    total = 0.0
    tokens = sum(sum(row.mask) for row in rows)
    for row, advantage in zip(rows, advantages, strict=True):
        now = logprobs(adapter, row, settings)
        loss = surrogate(now, now.detach(), advantage, settings.clip)
        if settings.kl:
            with torch.no_grad():
                base = logprobs({}, row, settings)
            loss = loss + settings.kl * kl_of(now, now.detach(), base, corrected=settings.corrected)
        total = total + (loss * torch.tensor(row.mask)).sum() / tokens
    return total


def surrogate(now, old, advantage, clip):
    """−min(ρA, clip(ρ, 1 − ε, 1 + ε)·A) a token."""
    ratio = torch.exp(now - old)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def kl_of(now, old, base, *, corrected):
    """Schulman's k3 a token, e^x − x − 1 with x = ln p_base − ln p; corrected: times the importance ratio."""
    x = base - now
    k3 = torch.exp(x) - x - 1
    return k3 * torch.exp(now - old) if corrected else k3


def updated(adapter, steps, settings):
    """The adapter after one AdamW step (no decay, constant rate) for each (rows, advantages)."""
    names = list(adapter)
    values = [value.clone().requires_grad_() for name in names for value in adapter[name]]
    first = [torch.zeros_like(value) for value in values]
    second = [torch.zeros_like(value) for value in values]
    for number, (rows, advantages) in enumerate(steps, start=1):
        now = {name: (values[2 * index], values[2 * index + 1]) for index, name in enumerate(names)}
        gradients = torch.autograd.grad(loss_of(now, rows, advantages, settings), values)
        length = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        cut = min(1.0, settings.max_grad_norm / (length + 1e-6)) if settings.max_grad_norm else 1.0
        for index, gradient in enumerate(gradients):
            first[index] = 0.9 * first[index] + 0.1 * cut * gradient
            second[index] = 0.999 * second[index] + 0.001 * (cut * gradient) ** 2
            mean = first[index] / (1 - 0.9**number)
            root = (second[index] / (1 - 0.999**number)).sqrt()
            values[index] = (values[index] - settings.learning_rate * mean / (root + 1e-8)).detach().requires_grad_()
    return {name: (values[2 * index].detach(), values[2 * index + 1].detach()) for index, name in enumerate(names)}


def distance(one, other):
    """The largest difference of any number of two adapters."""
    return max(
        float((mine - theirs).abs().max()) for name in one for mine, theirs in zip(one[name], other[name], strict=True)
    )
