"""Make text of models, games and files safe to print on a terminal, and take credentials out of messages.

printable("a\x1bb")                                    # "a\\x1bb", on one line
printable_lines(diff)                                  # each line so
json_text(value)                                       # JSON that no terminal obeys
without_credentials("GET https://me:pw@host failed")   # "GET https://…@host failed"
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""The Unicode categories that a terminal obeys or does not show: control, format, surrogate, private, line separators."""

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""The characters of Chinese, Japanese and Korean, for a set in a regular expression: no space separates their words."""

_NOT_PLAIN = r"[^\n\x20-\x7e]"

_QUERY_NAMES = (
    r"[\w.-]{0,40}(?:token|api[_-]?key|secret|passw(?:or)?d|passphrase|signature|credential)[\w.-]{0,40}"
    r"|key|auth|pwd|pass|sig|sas"
)
_CREDENTIALS = rf"""(?xi)(?P<url>\b[a-z][a-z0-9+.-]{{0,20}}:/{{1,3}})(?:
          [^\s/?\#@:]{{0,300}}:[^\s/?\#]{{0,300}}                  # https://user:password@
        | [^\s/?\#@:\[]{{1,300}}:(?!\d+(?:[/?\#]|$))\S{{0,300}}    # a password with / ? or # in it
    )@
    | (?P<web>\b(?:https?|ftp):/{{1,3}})[^\s/?\#@]{{1,300}}@       # a token in the place of the user
    | (?P<name>[?&;\#](?:{_QUERY_NAMES})=)[^\s&;\#'"<>]+     # a parameter of a URL
    | (?<=['"])(?P<blank>[a-z][a-z0-9+.-]{{0,20}}://)[^/?\#@'"\n]{{0,300}}:[^/?\#'"\n]{{0,300}}@  # quoted: with blanks
    | (?<=['"])(?:[\w.-]{{0,100}}//)?[^\s/@:'"]{{1,300}}:(?!/)[^\s@'"]{{1,300}}@(?=[\w-])  # quoted: user:password@host
    | \b(?-i:gh[oprsu]_|github_pat_|glpat-|hf_|sk-(?:[a-z]+\d*-)?|xox[abprs]-|AKIA)[a-z0-9_]{{16,}}   # tokens of services
    | (?P<bearer>\bBearer\s+)[a-z0-9._~+/=-]{{8,}}
    """
_SPACED = r"://[^/?#@]*:[^/?#]*@"
"""A password with blanks in it. In a longer text they could not be told from the words around them."""
_BARE = r"^(?://)?[^\s/@:]+:[^\s@]+@[\w-]+(?:\.[\w.-]+|:\d+)"


def printable(text: str, width: int | None = None) -> str:
    """`text` on one line, cut to `width` characters, with control and format characters as escapes.

    An escape has more characters than the one it replaces, so the result can be longer than `width`.
    """
    if width is not None and len(text) > width:
        text = text[: width - 1] + "…"
    return text if text.isprintable() else re.sub(_NOT_PLAIN, _escaped, text).replace("\n", "\\n")


def printable_lines(text: str) -> str:
    """A text of several lines, each safe for a terminal."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "\n".join(map(printable, text.split("\n")))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    hidden = not character.isprintable() and unicodedata.category(character) in HIDDEN
    return character.encode("unicode_escape").decode() if hidden else character


def json_text(value: Any, *, indent: bool = False, ascii: bool = False) -> str:
    """Typed data as JSON in which no character steers a terminal: hidden ones are written as `\\uXXXX`, which reads back as
    the same text. `ascii` escapes everything that is not ASCII, for an output of another encoding than UTF-8."""
    import msgspec  # `skillos-tui --version` prints no JSON

    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, as in a file name that is not UTF-8
        import json

        plain = msgspec.to_builtins(value, str_keys=True)
        return json.dumps(plain, indent=2) if indent else json.dumps(plain, separators=(",", ":"))
    text = (msgspec.json.format(encoded) if indent else encoded).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return re.sub(_NOT_PLAIN, lambda found: _json_escaped(found[0], ascii), text)


def _json_escaped(character: str, always: bool) -> str:
    if not always and (character.isprintable() or unicodedata.category(character) not in HIDDEN):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def without_credentials(text: str) -> str:
    """`text` with `…` in place of passwords and tokens: of the user info and parameters of URLs, and of known services."""
    return re.sub(_CREDENTIALS, _redacted, text)


def _redacted(found: re.Match[str]) -> str:
    if url := found["url"] or found["web"] or found["blank"]:
        return f"{url}…@"
    return f"{found['name'] or found['bearer'] or ''}…{'@' if found[0].endswith('@') else ''}"


def has_credentials(value: str) -> bool:
    """Whether a value that a person gave has a password or token in it, as `https://user:TOKEN@host` does."""
    return any(re.search(pattern, value) for pattern in (_CREDENTIALS, _SPACED, _BARE))


def money(amount: float) -> str:
    """An amount in the currency of the prices: cents, or three digits of a smaller amount."""
    return f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:.3g}"


def counted(count: int, what: str) -> str:
    """`count` with its noun: "1 edit", "2 edits", "1,200 edits"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def interrupted_while(state: str, reason: str) -> str:
    """The reason of a run whose engine ended without a word: what it did then, or waited for, which is over."""
    if not reason:
        return ""
    return f"while it was paused: {reason}" if state == "paused" else f"was {reason}"


NOT_KNOWN = "n/a"


def size(count: int | None) -> str:
    """Bytes in KiB, MiB or GiB; "n/a" where they are not known."""
    if count is None:
        return NOT_KNOWN
    if 0 < count < 2**20:
        return f"{max(1, count // 2**10)} KiB"
    mebibytes = count / 2**20
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
