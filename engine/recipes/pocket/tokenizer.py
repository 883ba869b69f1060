"""The pocket model's tokenizer: byte-level BPE, so that any text can be read, with Qwen's chat marks as single tokens.

Words keep the space before them, and an escaped newline inside JSON ends a word: so a noun is the same token in a skill, a
thought, an action and a tool call, which is what lets a small model copy it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKS = ["<think>", "</think>", "<action>", "</action>", "<tool_call>", "</tool_call>", "<tools>", "</tools>"]
PIECES = r"\\n| ?[\p{L}_]+| ?\p{N}|\n+| ?[^\s\p{L}\p{N}_\\]+|\\|\s"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary` tokens, learned from `texts`, with the chat template that we ship."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(MARKS),
        special_tokens=CONTROL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    template = (resources.files("engine.models.pocket") / "chat_template.jinja").read_text("utf-8")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=template,
        padding_side="left",
        model_max_length=4096,
    )
