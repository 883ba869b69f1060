"""Calls into an environment that name it where it breaks its contract.

    result = called(kind.name, "step", environment.step, action, task=task.id)

A `SkillosError` passes. Any other exception is a bug of the environment: it becomes a `PartFault`, which ends the run as
failed. It is not an unmeasured outcome, which would hide the bug in every episode of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from engine.core.errors import PartFault, SkillosError

P = ParamSpec("P")
T = TypeVar("T")


def called(environment: str, method: str, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `function` returns. `environment` and `method` are for the message. Raises `PartFault` and any `SkillosError`."""
    try:
        return function(*arguments, **named)
    except SkillosError:
        raise
    except Exception as error:
        raise fault(environment, method, f"{type(error).__name__}: {error}") from error


def fault(environment: str, method: str, what: str) -> PartFault:
    """The error of a `method` that did `what`."""
    return PartFault(f"the environment {environment} has a bug in {method}: {what}")
