"""Find encoded content: text in base64, hexadecimal or escapes, and long runs of digits that cannot be read.

What is decoded is searched for dangerous phrases and commands, and decoded again, up to `MAX_NESTED` times.
"""

from __future__ import annotations

import base64
import html
import re
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from engine.core.findings import Finding, bounded, quoted
from engine.skills.audit import patterns
from engine.skills.audit.reading import Reading

MIN_BASE64 = 160
MIN_HEX = 160
MIN_LINES = 4
"""The number of consecutive lines of base64 from which on they are a blob."""
MAX_NESTED = 3
"""Encodings inside one another that are decoded."""
MAX_UNPACKED = 1_000_000
"""Bytes of the compressed parts of one text that are read."""

_RUN = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{MIN_BASE64},}}+")
_HEX = re.compile(rf"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{{2}}){{{MIN_HEX // 2},}}+")
_ESCAPES = re.compile(r"(?:\\x[0-9A-Fa-f]{2}){24,}+")
_LINES = re.compile(rf"(?:^[ \t]{{0,12}}[A-Za-z0-9+/]{{60,100}}\r?\n){{{MIN_LINES},}}+", re.MULTILINE)
_WORD = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9+/_-]{24,}+={0,2}(?![\w+/.-])")
_WRAPPED = re.compile(
    r"(?:^[ \t\"'#>]{0,12}[A-Za-z0-9+/_-]{16,200}[ \t\"'\\,+]{0,4}\r?\n)+"
    r"[ \t\"'#>]{0,12}[A-Za-z0-9+/_-]{1,200}={0,2}(?![\w+/.-])",
    re.MULTILINE,
)
_HEX_WORD = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}){16,}+(?![0-9A-Za-z])")
_HEX_LIST = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[\s,;:]{1,3}){16,}(?:0x|\\x)?[0-9A-Fa-f]{2}")
_BASE32 = re.compile(r"(?<![\w=])[A-Z2-7]{32,}+={0,6}(?!\w)")
_IMAGE = re.compile(r"data:(?:image|font)/[\w.+-]{1,40};base64,\Z")
_ESCAPE = re.compile(r"\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\[0-3]?[0-7]{2}(?![0-9])")
_PERCENT = re.compile(r"%[2-7][0-9A-Fa-f]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)
_NOT_DIGITS = re.compile(r"[^A-Za-z0-9+/_=-]")


def findings(reading: Reading) -> Iterator[Finding]:
    """Encoded texts (`danger` if a pattern finds danger in the decoded text), and blobs (`info` for an image)."""
    yield from bounded(_Decoding().texts(reading, MAX_NESTED))
    yield from bounded(_escaped(reading))
    yield from bounded(_blobs(reading))


class _Decoding:
    """The decoding of one text. `_room` is how many bytes its compressed parts may still unpack to."""

    def __init__(self) -> None:
        self._room = MAX_UNPACKED

    def texts(self, reading: Reading, depth: int) -> Iterator[Finding]:
        for pattern, decode, kind, reports in _ENCODINGS:
            for match in pattern.finditer(reading.text):
                text = self._text(decode(match[0]))
                if not text:
                    continue
                line = reading.line(reading.text, match.start())
                if self._dangerous(text, depth):
                    yield Finding("encoded-text", "danger", line, f"says in {kind}: {quoted(text)}")
                elif reports and _printable(text):
                    yield Finding("encoded-text", "warning", line, f"says in {kind}: {quoted(text)}")

    def _dangerous(self, text: str, depth: int) -> bool:
        """Whether a pattern finds danger in a decoded text, or in what is encoded in it."""
        inner = Reading(text)
        if any(finding.severity == "danger" for finding in patterns.findings(inner)):
            return True
        return depth > 1 and any(finding.severity == "danger" for finding in self.texts(inner, depth - 1))

    def _text(self, data: bytes) -> str:
        """Decoded bytes as text, "" where they are none: UTF-8 or UTF-16, also compressed."""
        if data[:2] in (b"\x1f\x8b", b"x\x01", b"x\x9c", b"x\xda"):
            try:
                data = zlib.decompressobj(wbits=47).decompress(data, max(1, self._room))
            except zlib.error:
                return ""
            self._room -= len(data)
        if data[1:8:2] == b"\0\0\0\0":
            return data.decode("utf-16-le", "ignore")
        text = data.decode("utf-8", "ignore")
        return text if len(text.encode("utf-8")) * 10 >= len(data) * 9 else ""


def _base64(word: str) -> bytes:
    digits = _NOT_DIGITS.sub("", word).rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:
        return b""
    return base64.b64decode(digits + "=" * (-len(digits) % 4))


def _hex(word: str) -> bytes:
    digits = re.sub(r"0x|\\x|[^0-9A-Fa-f]", "", word)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _base32(word: str) -> bytes:
    digits = word.rstrip("=")
    return base64.b32decode(digits[: len(digits) // 8 * 8])


_Decode = Callable[[str], bytes]
_ENCODINGS: tuple[tuple[re.Pattern[str], _Decode, str, bool], ...] = (
    (_WORD, _base64, "base64", True),
    (_WRAPPED, _base64, "base64", False),
    (_HEX_WORD, _hex, "hexadecimal", False),
    (_HEX_LIST, _hex, "hexadecimal", False),
    (_BASE32, _base32, "base32", False),
)
"""Encodings, with how they are decoded. Only what is printable text in base64 is reported without danger in it."""


def _printable(text: str) -> bool:
    return all(char.isprintable() or char in "\t\r\n" for char in text)


def _escaped(reading: Reading) -> Iterator[Finding]:
    """Danger that is only seen when the escapes of strings, addresses or HTML are read as what they stand for."""
    for pattern, unescape, kind in (
        (_ESCAPE, _unescaped, "escapes"),
        (_PERCENT, unquote, "percent signs"),
        (_ENTITY, html.unescape, "entities"),
    ):
        if pattern.search(reading.text) is None:
            continue
        plain = Reading(pattern.sub(lambda match, unescape=unescape: _on_one_line(unescape(match[0])), reading.text))  # type: ignore[misc]
        known = {finding.line for finding in patterns.findings(reading) if finding.severity == "danger"}
        for finding in patterns.findings(plain):
            if finding.severity == "danger" and finding.line not in known:
                yield Finding("encoded-text", "danger", finding.line, f"says in {kind}: {finding.message}")


def _unescaped(escape: str) -> str:
    digits = escape.lstrip("\\xu{").rstrip("}")
    number = int(digits, 16) if escape[1] in "xu" else int(digits, 8)
    return chr(number) if number < 0x110000 else " "


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def _blobs(reading: Reading) -> Iterator[Finding]:
    text = reading.text
    for pattern, kind in ((_HEX, "hexadecimal"), (_ESCAPES, "escaped bytes"), (_RUN, "base64"), (_LINES, "base64")):
        for match in pattern.finditer(text):
            if not _dense(match[0], kind):
                continue
            image = _IMAGE.search(text, max(0, match.start() - 60), match.start()) is not None
            message = f"{len(match[0]):,} characters of {kind} cannot be read"
            line = reading.line(text, match.start())
            yield Finding("encoded-blob", "info" if image else "warning", line, message)


def _dense(run: str, kind: str) -> bool:
    """Whether a run has the variety of encoded bytes, unlike a path, a line of dashes or a protein sequence."""
    chars = set(run[:2000])
    if kind != "base64":
        return len(chars) >= 8
    kinds = (any(c.isdigit() for c in chars), any(c.islower() for c in chars), any(c.isupper() for c in chars))
    return all(kinds) and len(chars) >= 24
