"""The docstring under each field of a class, which Python itself does not keep.

class Training(Settings, frozen=True):
    steps: int = 60
    \"\"\"How many steps the run has.\"\"\"

field_docs(Training)["steps"]                # "How many steps the run has."
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from contextlib import suppress

from engine.core.syntax import parse, source_of


def field_docs(kind: type) -> dict[str, str]:
    """The docstrings of the fields of `kind` and its bases, each on one line. Reads their source: milliseconds a class.

    A class without source to read, such as one of a package of compiled files, has none.
    """
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__ not in ("builtins", "msgspec", "msgspec._core") and "__annotations__" in vars(base):
            with suppress(OSError, SyntaxError, TypeError):
                docs |= dict(_documented(base))
    return docs


def _documented(kind: type) -> Iterator[tuple[str, str]]:
    """The fields that `kind` itself declares and documents. Raises `OSError`, `TypeError` or `SyntaxError` where its source
    cannot be read."""
    tree = parse(textwrap.dedent(source_of(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
            case _:
                pass
