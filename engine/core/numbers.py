"""Numbers for a person, none of which reads as another one.

rounded(0.41666, ".3f")     # "0.417"
rounded(0.0004, ".3f")      # "0.0004": only 0 reads as 0
rounded(0.9996, ".1%")      # "99.96%": only all of it reads as all
"""

from __future__ import annotations

NOISE = 1e-12
"""What is so near to 0 or to 1 differs from it by the rounding of a sum alone."""


def rounded(value: float, form: str) -> str:
    """`value` in a form of fixed decimals (".3f", "+.2f", ".0%"), with more digits where it would read as 0, 1 or 100 % and
    is not, and is below 1. A 0 has no minus."""
    size = abs(value)
    text = format(0.0 if size < NOISE else value, form)
    whole = 100.0 if form.endswith("%") else 1.0
    if not NOISE <= size < 1 - NOISE or (read := abs(float(text.rstrip("%")))) not in (0.0, whole):
        return text
    if not read:
        sign = "-" if value < 0 else "+" if form.startswith("+") else ""
        return f"{sign}{size * whole:.1g}{'%' if form.endswith('%') else ''}"
    sign, _, decimals = form.rstrip("f%").partition(".")
    more = int(decimals)
    while abs(float(text.rstrip("%"))) == whole:
        more += 1
        text = format(value, f"{sign}.{more}{form[-1]}")
    return text
