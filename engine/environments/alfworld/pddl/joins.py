"""Joins over facts, as chains of closures: each step binds slots of an environment and calls the next step.

An environment is a list of object numbers, one slot per variable. A step returns whether to stop: a chain that ends in
`stop` returns whether there is an answer, and a chain that ends in a collector collects all answers. A step spends one unit
of work for each row that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from engine.environments.alfworld.pddl.facts import NOWHERE, Facts, Frame, Row

Env: TypeAlias = list[int]
Step: TypeAlias = Callable[[Facts, Env, Any], bool]
Test: TypeAlias = Callable[[Facts, Env], bool]
Fresh: TypeAlias = tuple[int, int, int]


def stop(facts: Facts, env: Env, out: Any) -> bool:
    """The end of a chain that tests whether there is an answer."""
    return True


def any_of(chains: Iterable[Step]) -> Test:
    """A test whether one of the chains (each ends in `stop`) has an answer."""
    steps = tuple(chains)
    if len(steps) == 1:
        only = steps[0]
        return lambda facts, env: only(facts, env, None)
    return lambda facts, env: any(step(facts, env, None) for step in steps)


def check(test: Test, then: Step) -> Step:
    """Continue if `test` holds."""
    return lambda facts, env, out: test(facts, env) and then(facts, env, out)


def loop(slot: int, kind: int, then: Step) -> Step:
    """Bind `slot` to each object of the type `kind`."""

    def run(facts: Facts, env: Env, out: Any) -> bool:
        facts.spend(len(facts.objects.names))
        for number, is_member in enumerate(facts.objects.members[kind]):
            env[slot] = number
            if is_member and then(facts, env, out):
                return True
        return False

    return run


def row_test(predicate: int, slots: tuple[int, ...]) -> Test:
    """A test whether the fact with the values of `slots` is true."""
    if len(slots) == 1:
        only = slots[0]
        return lambda facts, env: (env[only],) in facts.rows[predicate]
    if len(slots) == 2:
        left, right = slots
        return lambda facts, env: (env[left], env[right]) in facts.rows[predicate]
    return lambda facts, env: tuple([env[slot] for slot in slots]) in facts.rows[predicate]


def scan(
    frame: Frame,
    predicate: int,
    bound: dict[int, int],
    fresh: list[Fresh],
    repeats: list[tuple[int, int]],
    then: Step,
) -> Step:
    """Bind the slots of `fresh` (argument, slot, type) to each fact whose arguments equal the `bound` slots.

    `bound` maps an argument to the slot that it must equal. So do the pairs of `repeats`, whose slots this fact binds.
    """
    rows = _candidates(frame, predicate, bound)
    if len(fresh) == 1 and not repeats:
        argument, slot, kind = fresh[0]

        def run_one(facts: Facts, env: Env, out: Any) -> bool:
            members = facts.objects.members[kind]
            found = rows(facts, env)
            facts.spend(1 + len(found))
            for row in found:
                value = row[argument]
                if members[value]:
                    env[slot] = value
                    if then(facts, env, out):
                        return True
            return False

        return run_one

    def run(facts: Facts, env: Env, out: Any) -> bool:
        members = facts.objects.members
        found = rows(facts, env)
        facts.spend(1 + len(found))
        for row in found:
            for argument, slot, kind in fresh:
                if not members[kind][row[argument]]:
                    break
                env[slot] = row[argument]
            else:
                if all(row[argument] == env[slot] for argument, slot in repeats) and then(facts, env, out):
                    return True
        return False

    return run


def ordered_scan(
    frame: Frame,
    predicate: int,
    bound: dict[int, int],
    fresh: list[Fresh],
    repeats: list[tuple[int, int]],
    then: Step,
) -> Step:
    """As `scan`, in the order of the objects' names, and with different objects for different variables.

    Slots are filled from the first one on.
    """
    rows = _candidates(frame, predicate, bound)

    def run(facts: Facts, env: Env, out: Any) -> bool:
        members = facts.objects.members
        found = rows(facts, env)
        facts.spend(1 + len(found))
        for row in sorted(found):
            for argument, slot, kind in fresh:
                value = row[argument]
                if not members[kind][value] or value in env[:slot]:
                    break
                env[slot] = value
            else:
                if all(row[argument] == env[slot] for argument, slot in repeats) and then(facts, env, out):
                    return True
        return False

    return run


def _candidates(frame: Frame, predicate: int, bound: dict[int, int]) -> Callable[[Facts, Env], Collection[Row]]:
    if not bound:
        return lambda facts, env: facts.rows[predicate]
    positions = tuple(sorted(bound))
    slots = [bound[position] for position in positions]
    index = frame.index(predicate, positions)
    if len(slots) == 1:
        only = slots[0]
        return lambda facts, env: facts.indexes[index].get(env[only], NOWHERE)
    return lambda facts, env: facts.indexes[index].get(tuple([env[slot] for slot in slots]), NOWHERE)
