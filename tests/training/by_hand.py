"""GRPO updates written out from the method's formulas, with neither the engine nor PEFT, in 64-bit floats.

    expected = updated(adapter, steps, settings)          # adapter: {"…q_proj": (A, B)}; steps: rows and advantages

Written for tests: every setting of the update has its place in a formula here.
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
    estimator: str = "k3_corrected"
    normalisation: str = "token"
    most: int = 4096
    cap: float | None = None
    decay: float = 0.0
    rates: tuple[float, ...] = ()
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
    """Over all trained tokens −min(ρA, clip(ρ)A)·w + β·KL, with ρ = 1 in the one update of a batch, divided by `divisor`."""
    total = 0.0
    for row, advantage in zip(rows, advantages, strict=True):
        if not any(row.mask):
            continue
        now = logprobs(adapter, row, settings)
        loss = surrogate(now, now.detach(), advantage, settings.clip, settings.clip)
        if settings.cap is not None:
            loss = loss * torch.exp(now.detach() - torch.tensor(row.logprobs).double()).clamp(max=settings.cap)
        if settings.kl:
            with torch.no_grad():
                base = logprobs({}, row, settings)
            loss = loss + settings.kl * kl_of(now, now.detach(), base, settings.estimator)
        total = total + (loss * torch.tensor(row.mask)).sum() / divisor(row, rows, settings)
    return total


def divisor(row, rows, settings):
    """By what a row's sum over its tokens is divided."""
    if settings.normalisation == "token":
        return sum(sum(one.mask) for one in rows)
    if settings.normalisation == "sequence":
        return sum(row.mask) * len([one for one in rows if any(one.mask)])
    return len(rows) * settings.most


def surrogate(now, old, advantage, low, high):
    """−min(ρA, clip(ρ, 1 − low, 1 + high)·A) a token."""
    ratio = torch.exp(now - old)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def kl_of(now, old, base, estimator):
    """Schulman's k2 and k3 a token with x = ln p_base − ln p; corrected: k3 times the importance ratio."""
    x = base - now
    if estimator == "k2":
        return x * x / 2
    k3 = torch.exp(x) - x - 1
    return k3 * torch.exp(now - old) if estimator == "k3_corrected" else k3


def scaled(rewards):
    """(r − mean) / (standard deviation with n − 1, plus 1e-4) of one group."""
    mean = sum(rewards) / len(rewards)
    deviation = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [(reward - mean) / (deviation + 1e-4) for reward in rewards]


def updated(adapter, steps, settings):
    """The adapter after one AdamW step for each (rows, advantages), at the rate of `rates`, or always the same."""
    names = list(adapter)
    values = [value.clone().requires_grad_() for name in names for value in adapter[name]]
    first = [torch.zeros_like(value) for value in values]
    second = [torch.zeros_like(value) for value in values]
    for number, (rows, advantages) in enumerate(steps, start=1):
        now = {name: (values[2 * index], values[2 * index + 1]) for index, name in enumerate(names)}
        gradients = torch.autograd.grad(loss_of(now, rows, advantages, settings), values)
        length = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        cut = min(1.0, settings.max_grad_norm / (length + 1e-6)) if settings.max_grad_norm else 1.0
        rate = settings.rates[number - 1] if settings.rates else settings.learning_rate
        for index, gradient in enumerate(gradients):
            first[index] = 0.9 * first[index] + 0.1 * cut * gradient
            second[index] = 0.999 * second[index] + 0.001 * (cut * gradient) ** 2
            mean = first[index] / (1 - 0.9**number)
            root = (second[index] / (1 - 0.999**number)).sqrt()
            kept = values[index] * (1 - rate * settings.decay)
            values[index] = (kept - rate * mean / (root + 1e-8)).detach().requires_grad_()
    return {name: (values[2 * index].detach(), values[2 * index + 1].detach()) for index, name in enumerate(names)}


def distance(one, other):
    """The largest difference of any number of two adapters."""
    return max(
        float((mine - theirs).abs().max()) for name in one for mine, theirs in zip(one[name], other[name], strict=True)
    )
