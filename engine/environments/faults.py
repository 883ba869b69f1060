"""Calls into an environment that name it where it breaks its contract.

    result = called(kind.name, "step", environment.step, action, task=task.id)

A `SkillosError` passes. An `OSError` (an outage, a time-out, a file that cannot be read) becomes a `TaskSourceError`: the
task is unmeasured. Any other exception is a bug of the environment: it becomes a `PartFault`, which ends the run as failed.
An unmeasured outcome would hide the bug in every episode of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from engine.core.errors import PartFault, SkillosError
from engine.environments.base import TaskSourceError

P = ParamSpec("P")
T = TypeVar("T")


def called(environment: str, method: str, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `function` returns. `environment` and `method` are for the message.

    Raises `PartFault`, `TaskSourceError` for an `OSError`, and any `SkillosError` of the function.
    """
    try:
        return function(*arguments, **named)
    except SkillosError:
        raise
    except OSError as error:
        raise TaskSourceError(f"{method} of the environment {environment}: {_text(error)}") from error
    except Exception as error:
        raise fault(environment, method, _text(error)) from error


def fault(environment: str, method: str, what: str) -> PartFault:
    """The error of a `method` that did `what`."""
    return PartFault(f"the environment {environment} has a bug in {method}: {what}")


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
