"""Runs all checks of the doctor, each within its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from engine.system.doctor import hardware, pitfalls, servers, software, surroundings, weights
from engine.system.doctor.base import Check, Subject, unmeasured

SECONDS = 30.0
"""How long one check may take."""
CHECKS: tuple[Callable[[Subject], Iterator[Check]], ...] = (
    *(hardware.processor, hardware.driver, hardware.memory, hardware.disk, hardware.descriptors, hardware.clock),
    *(software.python, software.torch, software.vllm, software.libraries, software.keys),
    *(weights.files, weights.hashes, weights.settings),
    *(servers.ports, servers.answers, servers.orphans),
    *pitfalls.PITFALLS,
    *(surroundings.terminal, surroundings.language, surroundings.git, surroundings.user_bus, surroundings.clipboard),
)


def examine(subject: Subject, checks: tuple[Callable[[Subject], Iterator[Check]], ...] = CHECKS) -> list[Check]:
    """What every check found, in their order. Raises nothing."""
    return [check for each in checks for check in _bounded(each, subject)]


def _bounded(look: Callable[[Subject], Iterator[Check]], subject: Subject) -> list[Check]:
    """What a check yields within `SECONDS`; the rest is unmeasured."""
    found: list[Check] = []
    name = look.__name__.replace("_", " ")

    def work() -> None:
        try:
            found.extend(look(subject))
        except Exception as error:  # noqa: BLE001 - the doctor must end; a check that fails is shown with its error
            found.append(unmeasured(name, " ".join(f"the check failed: {type(error).__name__}: {error}".split())[:300]))

    working = threading.Thread(target=work, name=name, daemon=True)
    working.start()
    working.join(SECONDS)
    if working.is_alive():
        return [*found, unmeasured(name, f"it took longer than {SECONDS:g} s")]
    return found
