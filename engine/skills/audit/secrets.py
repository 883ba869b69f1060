"""Find secrets (keys, tokens, passwords) with the plugins of detect-secrets and a few patterns that they lack.

The plugins get pieces of lines in memory; the settings, files and network checks of detect-secrets are not used. A plugin
gets only lines that contain one of its words, in pieces of bounded length, so that no line makes it slow. The library is
loaded at the first audit. A finding never quotes the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Protocol

from engine.core.findings import Finding, Severity, bounded
from engine.skills.audit.reading import Reading

PIECE = 240
OVERLAP = 100

_PLUGINS = MappingProxyType(
    {
        "aws.AWSKeyDetector": ("akia", "asia", "abia", "acca", "a3t", "aws"),
        "azure_storage_key.AzureStorageKeyDetector": ("accountkey=",),
        "basic_auth.BasicAuthDetector": ("://",),
        "cloudant.CloudantDetector": ("cloudant",),
        "github_token.GitHubTokenDetector": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        "gitlab_token.GitLabTokenDetector": (
            "glpat-",
            "gldt-",
            "glft-",
            "glsoat-",
            "glrt-",
            "gr1348941",
            "glcbt-",
            "glimt-",
        ),
        "jwt.JwtTokenDetector": ("eyj",),
        "mailchimp.MailchimpDetector": ("-us",),
        "npm.NpmDetector": ("_authtoken",),
        "openai.OpenAIDetector": ("t3blbkfj",),
        "private_key.PrivateKeyDetector": ("private key", "putty-user-key-file-2"),
        "pypi_token.PypiTokenDetector": ("pypi-age",),
        "sendgrid.SendGridDetector": ("sg.",),
        "slack.SlackDetector": ("xox", "hooks.slack.com"),
        "square_oauth.SquareOAuthDetector": ("sq0csp",),
        "stripe.StripeDetector": ("k_live_",),
        "telegram_token.TelegramBotTokenDetector": (":aa",),
        "twilio.TwilioKeyDetector": ("twilio", "account_sid", "auth_token"),
        "keyword.KeywordDetector": ("key", "pass", "pwd", "secret", "contrase"),
    }
)
"""The plugins, each with the words of which a line must contain one, in lower case."""

_GUESSES = frozenset({"basic_auth.BasicAuthDetector", "keyword.KeywordDetector", "jwt.JwtTokenDetector"})
"""Plugins that match the context of a secret, so they have more false positives."""

_SHAPES = (
    ("Anthropic key", re.compile(r"sk-ant-[\w-]{30,200}+")),
    ("OpenAI key", re.compile(r"sk-proj-[\w-]{30,200}+")),
    ("OpenRouter key", re.compile(r"sk-or-v1-[0-9a-f]{40,80}+")),
    ("Google key", re.compile(r"AIza[\w-]{35}(?![\w-])")),
    ("Hugging Face token", re.compile(r"hf_[A-Za-z]{30,40}+")),
    ("GitHub token", re.compile(r"github_pat_\w{40,120}+")),
    ("Groq key", re.compile(r"gsk_[A-Za-z0-9]{40,80}+")),
    ("DigitalOcean token", re.compile(r"do[opr]_v1_[0-9a-f]{64}")),
    ("age key", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{50,60}+")),
)

_PLACEHOLDER = re.compile(
    r"example|your|xxx|placeholder|change|dummy|fake|sample|insert|replace|todo|\.\.\.|…|\*\*|test|demo|12345|abcde|redact",
    re.IGNORECASE,
)
_PLACEHOLDER_GUESS = re.compile(r"pass|secret|token|api_?key|env\b|environ|^\$|[<>{}()\[\] |]", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z0-9+/]{40}")


class _Plugin(Protocol):
    secret_type: str
    denylist: Iterable[re.Pattern[str]]

    def analyze_string(self, string: str) -> Iterator[str]: ...


@cache
def _plugins() -> tuple[tuple[str, _Plugin, tuple[str, ...]], ...]:
    found = []
    for path, words in _PLUGINS.items():
        module, _, name = path.rpartition(".")
        plugin: _Plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        found.append((path, plugin, words))
    return tuple(found)


@cache
def _any_word() -> re.Pattern[str]:
    """Matches any word of any plugin."""
    words = sorted({word for words in _PLUGINS.values() for word in words})
    return re.compile("|".join(map(re.escape, words)))


def findings(reading: Reading) -> Iterator[Finding]:
    """The secrets in the text, by kind and line."""
    yield from bounded(_shaped(reading))
    yield from bounded(_detected(reading))


def _shaped(reading: Reading) -> Iterator[Finding]:
    for kind, pattern in _SHAPES:
        for match in pattern.finditer(reading.text):
            if _is_real(match[0]):
                yield _finding("danger", reading.line(reading.text, match.start()), kind)


def _detected(reading: Reading) -> Iterator[Finding]:
    any_word = _any_word()
    lines = reading.text.split("\n")
    for number, line in enumerate(lines, start=1):
        low = line.lower()
        if any_word.search(low) is None:
            continue
        for start in range(0, max(1, len(line) - OVERLAP), PIECE - OVERLAP):
            piece, low_piece = line[start : start + PIECE], low[start : start + PIECE]
            after = "\n".join((piece, *(following[:PIECE] for following in lines[number : number + 2])))
            for path, plugin, words in _plugins():
                if any(word in low_piece for word in words) and _has_secret(path, plugin, piece, after):
                    yield _finding("warning" if path in _GUESSES else "danger", number, plugin.secret_type)


def _has_secret(path: str, plugin: _Plugin, piece: str, after: str) -> bool:
    """Whether a plugin finds a secret, and no placeholder, in a piece of a line. `after` is the piece and the next lines."""
    if path in _GUESSES:
        return any(_is_real(secret, guessed=True) for secret in plugin.analyze_string(piece) if secret)
    secrets = [match[0] for pattern in plugin.denylist for match in pattern.finditer(piece)]
    if path == "private_key.PrivateKeyDetector":
        return bool(secrets) and _KEY.search(after) is not None
    return any(map(_is_real, secrets))


def _is_real(secret: str, *, guessed: bool = False) -> bool:
    """Whether a match can be a real secret and not a placeholder."""
    if _PLACEHOLDER.search(secret) or len(set(secret)) < 6:
        return False
    if not guessed:
        return True
    return len(secret) >= 7 and any(c.isdigit() for c in secret) and not _PLACEHOLDER_GUESS.search(secret)


def _finding(severity: Severity, line: int, kind: str) -> Finding:
    return Finding("secret", severity, line, f"looks like a secret ({kind})")
