"""The completion that a server's answer is.

    completion = completion_of(reply, messages, sampling, role="curator", version=0, tokenizer=tokenizer)

Where the answer has token ids and the tokenizer is known, the text is that of the ids; else `restoring` writes what the
server parsed out. So what was sampled, what is parsed and what is trained are one thing.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.text import printable
from engine.models.base import Completion, Message, ModelUnavailable, NotFinite, Sampling, Tokens, Usage
from engine.models.limits.errors import Retryable
from engine.models.remote.replies import SHOWN, Choice, Reply
from engine.models.remote.restoring import restored
from engine.models.remote.tokens import RemoteTokenizer

ENDS = frozenset({"stop", "tool_calls", "function_call", "tool_use", "eos", "eos_token", "stop_sequence", "end_turn"})
CUTS = frozenset({"length", "max_tokens", "model_length"})
FILTERS = frozenset({"content_filter", "safety", "refusal", "blocked", "prohibited_content"})
BREAKS = frozenset(
    {"", "abort", "aborted", "cancelled", "error", "network_error", "timeout", "insufficient_system_resource"}
)
"""How servers say that an answer has no end; the same request may have one."""
LOST_TOKENS = 8
"""An answer of more tokens than this has a text: a server that shows none has parsed it into a field that we do not know."""
UNLIKELIEST = -9998.0
"""vLLM writes -9999 for a log-probability of minus infinity, which no sampled token has."""
NO_USAGE = "set its section's tokenizer to the model's (a folder, or a name on the hub), so that the engine counts them"


def completion_of(
    reply: Reply,
    messages: Sequence[Message],
    sampling: Sampling,
    *,
    role: str,
    version: int,
    tokenizer: RemoteTokenizer | None,
) -> Completion:
    """The completion that a reply is. `messages` are counted where the server does not say how long the prompt is.

    Raises `ModelUnavailable` for an answer that was filtered or refused, or whose end is not known, `Retryable` for one that
    broke off, `NotFinite`.
    """
    choice = reply.choices[0]
    cut = _is_cut(choice)
    tokens = _tokens(reply, role)
    text = restored(choice.message, cut=cut)
    if tokens is not None and tokenizer is not None:
        text = tokenizer.text_of(tokens.completion_ids, ended=not cut)
    for stop in sampling.stop:
        text = text.partition(stop)[0]
    usage = _usage(reply, tokens, messages, text, tokenizer)
    if not text and choice.message.refusal:
        raise ModelUnavailable(f"the model refused to answer: {printable(choice.message.refusal, SHOWN)}")
    if not text and tokens is None and usage.completion > LOST_TOKENS:
        raise ModelUnavailable(
            f"the server counts {usage.completion} tokens of an answer and shows no text, reasoning or calls: "
            "start it without the parser that takes them out, or let it return token ids"
        )
    return Completion(text, "length" if cut else "stop", usage, tokens, version)


def _is_cut(choice: Choice) -> bool:
    """Whether the answer reached its longest length. Raises `ModelUnavailable` or `Retryable` where it has no end."""
    reason = (choice.finish_reason or "").lower()
    if reason in FILTERS:
        raise ModelUnavailable(f"the server's content filter stopped the answer (finish_reason {reason})")
    if reason in CUTS:
        return True
    if reason in BREAKS:
        raise Retryable(f"the answer broke off (finish_reason {printable(str(choice.finish_reason), 40)})")
    if reason not in ENDS:
        raise ModelUnavailable(
            f"the server ended the answer with the finish_reason {printable(reason, 40)!r}, which is not one of those that "
            f"are known: {', '.join(sorted(ENDS | CUTS))}; whether the answer is whole is not known"
        )
    return False


def _tokens(reply: Reply, role: str) -> Tokens | None:
    """The ids and their log-probabilities; None where the server gives either not. Raises `NotFinite`, `WrongCompletion`."""
    choice = reply.choices[0]
    content = choice.logprobs.content if choice.logprobs else None
    if choice.token_ids is None or reply.prompt_token_ids is None or content is None:
        return None
    logprobs = [each.logprob for each in content]
    if any(logprob is None or not UNLIKELIEST < logprob < float("inf") for logprob in logprobs):
        raise NotFinite(role)
    return Tokens(reply.prompt_token_ids, choice.token_ids, [logprob for logprob in logprobs if logprob is not None])


def _usage(
    reply: Reply, tokens: Tokens | None, messages: Sequence[Message], text: str, tokenizer: RemoteTokenizer | None
) -> Usage:
    """The counts of the server, or of the ids, or else of the tokenizer. Raises `ModelUnavailable` where there is none."""
    told = reply.counts
    if tokens is not None:
        return _with_cached(len(tokens.prompt_ids), len(tokens.completion_ids), told.cached)
    if told.prompt and told.completion is not None:
        return _with_cached(told.prompt, told.completion, told.cached)
    if tokenizer is None:
        raise ModelUnavailable(f"the server does not count tokens: {NO_USAGE}")
    prompt = tokenizer.chat(messages)
    return Usage(prompt, tokenizer.count(text) + 1)


def _with_cached(prompt: int, completion: int, cached: int | None) -> Usage:
    """The usage; a cached part that is larger than the prompt is not known."""
    return Usage(prompt, completion, cached if cached is not None and cached <= prompt else None)
