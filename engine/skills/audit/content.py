"""What the bytes of a file say: the text in whatever encoding, the text inside a picture, or why nothing can be read.

    content = content_of(data, "scripts/run.sh")
    content.texts             # each is audited; a file with bytes that are not UTF-8 has more than one reading
    content.problem           # a finding about the file itself, or None

Text is UTF-8, or UTF-16 or UTF-32 with or without a byte order mark. Of a picture, a font or a sound, only the readable
strings are audited, and a finding says so. Whatever else is no text cannot be audited.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import NamedTuple

from engine.core.findings import Finding

UNAUDITED = "unaudited"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MEDIA = (
    (rb"\x89PNG\r\n\x1a\n", "a PNG image", ("png",)),
    (rb"\xff\xd8\xff", "a JPEG image", ("jpg", "jpeg")),
    (rb"GIF8[79]a", "a GIF image", ("gif",)),
    (rb"RIFF....WEBP", "a WebP image", ("webp",)),
    (rb"BM.{4}\0\0\0\0", "a bitmap image", ("bmp",)),
    (rb"\0\0[\1\2]\0", "an icon", ("ico", "cur")),
    (rb"(?:II\*\0|MM\0\*)", "a TIFF image", ("tif", "tiff")),
    (rb"(?:\0\1\0\0|OTTO|true|ttcf)", "a font", ("ttf", "otf", "ttc")),
    (rb"wOF[F2]", "a font", ("woff", "woff2")),
    (rb"(?:ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb])", "an MP3 sound", ("mp3",)),
    (rb"RIFF....WAVE", "a WAV sound", ("wav",)),
    (rb"OggS", "an Ogg sound", ("ogg", "oga", "opus")),
    (rb"fLaC", "a FLAC sound", ("flac",)),
    (rb"....ftyp", "a video", ("mp4", "m4a", "m4v", "mov", "avif", "heic")),
)
_PROGRAMS = (
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ", "a program for Windows"),
    (b"\xfe\xed\xfa", "a program (Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a program (Mach-O or Java)"),
    (b"\0asm", "a program (WebAssembly)"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)
_STRINGS = re.compile(rb"[\t\x20-\x7e]{8,}|(?:[\t\x20-\x7e]\0){8,}")
_NOT_TEXT = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_COOKIE = re.compile(rb"\A(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]{1,40})")
_SAMPLE = 65_536


class Content(NamedTuple):
    """The readings of a file, and a finding about the file itself."""

    texts: tuple[str, ...]
    problem: Finding | None = None


def content_of(data: bytes, path: str) -> Content:
    """What a file says. `path` is for its extension: a picture is one by its content and by its name."""
    text = _wide(data)
    if text is not None:
        return Content((text,))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(data, path, error)
    if "\0" in text and _binary(text):
        return _unread(data, path)
    variants = [text, text.replace("\0", "")] if "\0" in text else [text]
    return Content((*variants, *_declared(data)))


def unaudited(why: str) -> Finding:
    """The finding that a file could not be audited."""
    return Finding(UNAUDITED, "danger", 1, f"could not be audited: {why}")


def _wide(data: bytes) -> str | None:
    """The text of a file in UTF-8 with a mark, UTF-16 or UTF-32; None for another one."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            return text if text.count("\ufffd") * 50 <= len(text) else None
    if b"\0" not in data[:_SAMPLE]:
        return None
    for encoding in _WIDE:
        width = 4 if "32" in encoding else 2
        sample = data[: _SAMPLE - _SAMPLE % width]
        if len(data) % width == 0 and not _binary(sample.decode(encoding, "replace")):
            return data.decode(encoding, "replace")
    return None


def _binary(text: str) -> bool:
    """Whether a reading of a file is no text: too many controls, unassigned characters, or characters of no one script."""
    sample = text[:4_096]
    kinds = [unicodedata.category(char) for char in sample]
    strange = sum(kind in ("Cn", "Co", "Cs") or char == "\ufffd" for kind, char in zip(kinds, sample, strict=True))
    return (len(_NOT_TEXT.findall(sample)) + strange) * 20 > len(sample)


def _not_utf8(data: bytes, path: str, error: UnicodeDecodeError) -> Content:
    sample = data[:_SAMPLE]
    text = sample.decode("utf-8", "replace")
    if _binary(sample.decode("latin-1")) or text.count("\ufffd") * 3 > len(text):
        return _unread(data, path)
    line = data.count(b"\n", 0, error.start) + 1
    problem = Finding(
        "not-utf8",
        "warning",
        line,
        f"byte {data[error.start]:#04x} is not UTF-8; the text was audited without such bytes",
    )
    readings = (data.decode("utf-8", "replace"), data.decode("utf-8", "ignore").replace("\0", ""))
    return Content((*readings, *_declared(data)), problem)


def _declared(data: bytes) -> tuple[str, ...]:
    """The text in the encoding that a Python script declares, as its interpreter reads it."""
    match = _COOKIE.match(data[:400])
    if match is None:
        return ()
    name = match[1].decode("ascii", "replace").lower().replace("_", "-")
    if name in ("utf-8", "utf8", "ascii", "us-ascii", "latin-1", "iso-8859-1"):
        return ()
    try:
        return (data.decode(name, "replace"),)
    except (LookupError, ValueError, UnicodeError, TypeError):
        return ()


def _unread(data: bytes, path: str) -> Content:
    """A file that is no text: its strings, and the finding that the rest was not audited."""
    strings = (b"\n".join(match[0].replace(b"\0", b"") for match in _STRINGS.finditer(data)).decode("ascii"),)
    extension = path.lower().rpartition(".")[2]
    for pattern, kind, extensions in _MEDIA:
        if extension in extensions and re.match(pattern, data[:32], re.DOTALL):
            message = f"{kind}: only the readable strings in it were audited"
            return Content(strings, Finding("binary-file", "warning", 1, message))
    kind = next((kind for magic, kind in _PROGRAMS if data.startswith(magic)), "no text in a known encoding")
    return Content(strings, unaudited(f"it is {kind}"))
