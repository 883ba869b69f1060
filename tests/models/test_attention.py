"""Attention of groups of heads: what each way computes, and which one PyTorch gets on a device."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from engine.models.local.attention import REPEATED, grouped_heads, no_matrix, unplanned
from tests.models import small

IDS = torch.tensor([[5, 9, 200, 31, 7, 12], [8, 8, 77, 150, 3, 4]])


class Attended(TorchFunctionMode):
    """Notes the heads of queries and of keys of each attention, and whether PyTorch is to group them."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_function__(self, function, types, arguments=(), options=None):
        if function is scaled_dot_product_attention:
            query, key, *_ = arguments
            self.seen.add((query.shape[1], key.shape[1], (options or {}).get("enable_gqa", False)))
        return function(*arguments, **(options or {}))


def heads_of(network, tokens=6, *, mask=False):
    """What the attention of the first layer gives to PyTorch for a text."""
    like = {"device": network.device, "dtype": network.dtype}
    position = torch.zeros(1, tokens, 16, **like)
    masked = torch.zeros(1, 1, tokens, tokens, **like) if mask else None
    with Attended() as attended, torch.no_grad():
        network.model.layers[0].self_attn(torch.zeros(1, tokens, 32, **like), (position, position), masked)
    return attended.seen


def test_keys_and_values_of_each_head_give_the_attention_and_the_gradient_of_groups():
    found = []
    for attention in ("sdpa", REPEATED):
        network = small.base()
        network.config._attn_implementation = attention
        logits = network(input_ids=IDS, use_cache=False).logits
        logits.square().mean().backward()
        found.append((logits.detach(), {name: one.grad for name, one in network.named_parameters()}))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    for name, gradient in found[0][1].items():
        assert torch.allclose(gradient, found[1][1][name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize(
    ("device", "dtype", "repeats"),
    [("cpu", torch.float32, False), ("meta", torch.bfloat16, False), ("meta", torch.float32, True)],
    ids=["CPU", "GPU in 16 bits", "GPU in 32 bits"],
)
def test_only_a_gpu_in_32_bits_gets_keys_of_each_head(device, dtype, repeats):
    """meta stands for a GPU: its tensors have shapes and no numbers."""
    network = small.base().to(device=device, dtype=dtype)
    with no_matrix(network):
        assert heads_of(network) == {(2, 2, False) if repeats else (2, 1, True)}
    assert heads_of(network) == {(2, 1, True)}


@pytest.mark.parametrize(("device", "prompts"), [("cpu", (2, 1, True)), ("meta", (2, 2, False))], ids=["CPU", "GPU"])
def test_one_token_a_row_reads_the_keys_of_its_group_once_and_prompts_on_a_gpu_have_a_kernel(device, prompts):
    network = small.base().to(device)
    with grouped_heads(network):
        assert heads_of(network, 1, mask=True) == {(1, 1, False)}
        assert heads_of(network, 6, mask=True) == {prompts}


def test_cudnn_s_attention_is_off_in_here_on_a_gpu_of_nvidia_and_nowhere_else():
    assert torch.backends.cuda.cudnn_sdp_enabled()
    for device, enabled in (("cuda:1", False), ("cpu", True)):
        with pytest.raises(KeyError), unplanned(torch.device(device)):
            assert torch.backends.cuda.cudnn_sdp_enabled() is enabled
            raise KeyError
        assert torch.backends.cuda.cudnn_sdp_enabled()


def test_a_model_that_does_not_attend_by_sdpa_is_left_alone():
    network = small.base().to("meta")
    network.config._attn_implementation = "eager"
    with no_matrix(network), grouped_heads(network):
        assert network.config._attn_implementation == "eager"
