"""Python's syntax trees, for one thread at a time.

    call = parse_expression("tool(a=1)")
    module = parse(source_of(SomeClass))     # to find the source of a class parses too

CPython counts how deep a tree nests in a counter that all threads share. When two threads build trees at once, one of them
gets a `SystemError` (python/cpython issue 106905).
"""

from __future__ import annotations

import ast
import inspect
import threading

_ALONE = threading.Lock()


def parse(source: str) -> ast.Module:
    """`ast.parse` of a module, with its errors."""
    with _ALONE:
        return ast.parse(source)


def parse_expression(source: str) -> ast.expr:
    """`ast.parse` of an expression, with its errors."""
    with _ALONE:
        return ast.parse(source, mode="eval").body


def source_of(kind: type) -> str:
    """`inspect.getsource`, with its errors."""
    with _ALONE:
        return inspect.getsource(kind)
