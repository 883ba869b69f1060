"""The messages about a setting that cannot be used: the nearest name, and what is allowed.

nearest("polict", ["policy", "wait_seconds"])                # " (did you mean policy?)"
why_refused(0, Annotated[int, msgspec.Meta(ge=1)])           # "expected a whole number, at least 1"
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from engine.core.fields import takes_lines
from engine.core.text import without_credentials

MAX_SHOWN = 80
KINDS = {
    "IntType": "a whole number",
    "FloatType": "a finite number",
    "StrType": "a text on one line",
    "BoolType": "true or false",
    "NoneType": "nothing",
}

Sections = Mapping[str, Mapping[str, Any]]


def nearest(name: str, names: Iterable[str]) -> str:
    """ " (did you mean …?)" with the nearest of `names`, or "" where none is near."""
    by_lower = {known.lower(): known for known in names}
    wanted = name.lower().replace("-", "_")
    found = difflib.get_close_matches(wanted, by_lower, n=1)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""


def no_section(section: str, known: Sections) -> str:
    """That there is no such section, and which there are."""
    return (
        f"there is no section {section!r}{nearest(section, known)}; the sections are: {', '.join(known)}, and those of the "
        "gates and kinds of run of installed packages"
    )


def no_setting(section: str, key: str, known: Sections) -> str:
    """That a section has no such setting; the nearest one in it, or else a section that has it, or all that it has."""
    near = nearest(f"{section}.{key}", [f"{section}.{name}" for name in known[section]])
    near = near if nearest(key, known[section]) else elsewhere(key, known)
    return f"there is no setting {section}.{key}{near or f'; {section} has: ' + (', '.join(known[section]) or 'none')}"


def elsewhere(key: str, known: Sections) -> str:
    """ " (did you mean …?)" with every setting of that name, or of the nearest one, in any section."""
    names = {name for keys in known.values() for name in keys}
    name = key if key in names else next(iter(difflib.get_close_matches(key.lower(), names, n=1)), None)
    places = [f"{section}.{name}" for section, keys in known.items() if name in keys]
    return f" (did you mean {' or '.join(places)}?)" if places else ""


def why_refused(value: Any, kind: Any) -> str | None:
    """What a setting of type `kind` takes, where `value` is not that; None where it is."""
    if not _is_plain(value, lines=takes_lines(kind)):
        return f"expected {allowed(kind)}"
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        names = choices(kind)
        near = nearest(value, names) if names and isinstance(value, str) else ""
        return f"expected {allowed(kind)}{near}"
    return None


def _is_plain(value: Any, *, lines: bool = False) -> bool:
    """Whether numbers are finite and texts have neither control characters nor what is no Unicode, in lists too. `lines`:
    texts may have line breaks and tabs."""
    if isinstance(value, list):
        return all(_is_plain(item, lines=lines) for item in value)
    if isinstance(value, str):
        return (value.replace("\n", " ").replace("\t", " ") if lines else value).isprintable()
    return math.isfinite(value) if isinstance(value, float) else True


def allowed(kind: Any) -> str:
    """What a setting of type `kind` takes: "a whole number of at least 1", "one of: natural, uniform"."""
    return _described(inspect.type_info(kind))


def _described(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return "a path" if (info.extra or {}).get("path") == "always" else _described(inner)
        case inspect.LiteralType(values=values):
            return f"one of: {', '.join(map(str, values))}"
        case inspect.UnionType(types=types):
            return " or ".join(map(_described, types))
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"a list, each {_described(item)}"
    bounds = [
        f"{word} {bound:g}" if isinstance(bound, float) else f"{word} {bound}"
        for name, word in {"ge": "at least", "gt": "over", "le": "at most", "lt": "below"}.items()
        if (bound := getattr(info, name, None)) is not None
    ]
    name = type(info).__name__
    return KINDS.get(name, f"a value of the type {name}") + (f", {' and '.join(bounds)}" if bounds else "")


def shown(value: Any) -> str:
    """A value as a message quotes it: one line, not long, without passwords and tokens."""
    text = without_credentials(str(value).lower() if isinstance(value, bool) else repr(value))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def choices(kind: Any) -> list[str]:
    """The names that a setting of type `kind` takes, where these are all it takes."""
    info = inspect.type_info(kind)
    return [str(choice) for choice in info.values] if isinstance(info, inspect.LiteralType) else []
