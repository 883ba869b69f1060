"""Compile PDDL conditions: find the values of the parameters that make a condition true, or test whether it holds.

A condition is split into branches (a disjunction of conjunctions, with existential variables lifted out). A branch is a join
of facts, the most selective one first, as estimated by the frame's sample. A disjunction whose variables are all bound is
tested in place. A branch over an unknown type is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl.facts import Facts, Frame
from engine.environments.alfworld.pddl.joins import Env, Fresh, Step, Test, any_of, check, loop, row_test, scan, stop
from engine.environments.alfworld.pddl.language import And, Atom, Equal, Exists, Forall, Formula, Not, Or, Variable

MAX_BRANCHES = 100
MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class Branch:
    """True if all `atoms` and `tests` hold for some values of `variables`. Raises `FormatError` above `MAX_PARTS`."""

    variables: tuple[Variable, ...] = ()
    atoms: tuple[Atom, ...] = ()
    tests: tuple[Formula, ...] = ()

    def __post_init__(self) -> None:
        if self.size > MAX_PARTS:
            raise FormatError(f"a condition asks for more than {MAX_PARTS} variables and facts at once")

    def __add__(self, other: Branch) -> Branch:
        return Branch(self.variables + other.variables, self.atoms + other.atoms, self.tests + other.tests)

    @property
    def size(self) -> int:
        return len(self.variables) + len(self.atoms) + len(self.tests)


class Compiler:
    """Compiles conditions that share one environment.

    The environment has slots for `parameters`, `constants` (objects by name), and the variables of the conditions. `reads`
    collects the predicates of the conditions that actions can change.
    """

    def __init__(self, frame: Frame, parameters: Sequence[str] = (), constants: Sequence[str] = ()) -> None:
        self.frame = frame
        self.reads: set[int] = set()
        self._given = len(parameters)
        self._slots = {name: slot for slot, name in enumerate((*parameters, *constants))}
        self._given_slots = len(self._slots)
        self._names = count()

    def slot(self, term: str) -> int:
        """The slot of a variable or a constant."""
        return self._slots.setdefault(term, len(self._slots))

    def env(self, constants: Sequence[int], values: Sequence[int] = ()) -> Env:
        """An environment with the numbers of the constants, and those of the parameters if given."""
        free = [-1] * (len(self._slots) - self._given_slots)
        return [*(values or [-1] * self._given), *constants, *free]

    def holds(self, formula: Formula, bound: Sequence[str] = ()) -> Test:
        """A test whether `formula` holds, given values in the slots of the variables `bound`."""
        return any_of(self.chains((), formula, stop, bound))

    def chains(
        self, parameters: Sequence[Variable], formula: Formula, end: Step, bound: Sequence[str] = ()
    ) -> list[Step]:
        """Chains that call `end` for each binding of `parameters` for which `formula` holds, possibly more than once."""
        given = Branch(tuple(parameters))
        branches = [given + branch for branch in _branches(self._renamed(_normal(formula), {}))]
        return [self._chain(branch, end, bound) for branch in branches if _types(branch) <= self.frame.types.keys()]

    def _renamed(self, formula: Formula, names: dict[str, str]) -> Formula:
        """`formula` with its free variables renamed by `names`, and a unique name for every existential variable."""
        self.frame.spend(1)
        match formula:
            case Atom(predicate, terms):
                return Atom(predicate, tuple(names.get(term, term) for term in terms))
            case Equal(left, right):
                return Equal(names.get(left, left), names.get(right, right))
            case Not(part):
                return Not(self._renamed(part, names))
            case And(parts) | Or(parts):
                return type(formula)(tuple(self._renamed(part, names) for part in parts))
            case Exists(variables, part):
                fresh = {each.name: f"{each.name}#{next(self._names)}" for each in variables}
                lifted = tuple(Variable(fresh[each.name], each.type) for each in variables)
                return Exists(lifted, self._renamed(part, names | fresh))
            case Forall(variables, part):
                hidden = {each.name for each in variables}
                inner = {old: new for old, new in names.items() if old not in hidden}
                return Forall(variables, self._renamed(part, inner))

    def _chain(self, branch: Branch, end: Step, bound: Sequence[str]) -> Step:
        """Order the steps of a branch, then link them from the last to the first."""
        self.frame.spend(branch.size**2)
        types = {each.name: self.frame.types[each.type] for each in branch.variables}
        known = {*bound, *(term for atom in branch.atoms for term in atom.terms if not term.startswith("?"))}
        atoms, tests = list(branch.atoms), [(test, _free(test)) for test in branch.tests]
        steps: list[tuple[Atom, dict[int, int], list[Fresh], list[tuple[int, int]]] | Formula | Variable] = []
        missing = [each for each in branch.variables if each.name not in known]
        while atoms or tests or missing:
            steps.extend(test for test, free in tests if free <= known)
            tests = [(test, free) for test, free in tests if not free <= known]
            if atoms:
                atom = min(atoms, key=lambda atom: self._cost(atom, known))
                atoms.remove(atom)
                steps.append((atom, *self._places(atom, known, types)))
                known.update(atom.terms)
            elif missing:
                steps.append(missing[0])
                known.add(missing[0].name)
            elif tests:
                raise _undeclared(tests[0][1] - known)
            missing = [each for each in missing if each.name not in known]
        chain = end
        for step in reversed(steps):
            match step:
                case (Atom() as atom, places, fresh, repeats):
                    chain = self._scan(atom, places, fresh, repeats, chain)
                case Variable(name):
                    chain = loop(self.slot(name), types[name], chain)
                case _:
                    chain = check(self._test(step, known), chain)
        return chain

    def _cost(self, atom: Atom, known: set[str]) -> float:
        predicate = self.frame.predicates[atom.predicate]
        places = tuple(place for place, term in enumerate(atom.terms) if term in known)
        return -1.0 if len(places) == len(atom.terms) else self.frame.fanout(predicate, places)

    def _places(
        self, atom: Atom, known: set[str], types: dict[str, int]
    ) -> tuple[dict[int, int], list[Fresh], list[tuple[int, int]]]:
        bound: dict[int, int] = {}
        fresh: dict[str, Fresh] = {}
        repeats: list[tuple[int, int]] = []
        for place, term in enumerate(atom.terms):
            if term in known:
                bound[place] = self.slot(term)
            elif term in fresh:
                repeats.append((place, self.slot(term)))
            elif term in types:
                fresh[term] = (place, self.slot(term), types[term])
            else:
                raise _undeclared({term})
        return bound, list(fresh.values()), repeats

    def _scan(
        self, atom: Atom, bound: dict[int, int], fresh: list[Fresh], repeats: list[tuple[int, int]], then: Step
    ) -> Step:
        predicate = self._predicate(atom)
        if not fresh:
            return check(row_test(predicate, tuple(bound.values())), then)
        return scan(self.frame, predicate, bound, fresh, repeats, then)

    def _predicate(self, atom: Atom) -> int:
        predicate = self.frame.predicates[atom.predicate]
        if predicate in self.frame.fluents:
            self.reads.add(predicate)
        return predicate

    def _test(self, formula: Formula, known: set[str]) -> Test:
        match formula:
            case Atom(_, terms):
                return row_test(self._predicate(formula), tuple(self.slot(term) for term in terms))
            case Equal(left, right):
                first, second = self.slot(left), self.slot(right)
                return lambda facts, env: env[first] == env[second]
            case Not(part):
                inner = self._test(part, known)
                return lambda facts, env: not inner(facts, env)
            case Forall(variables, part):
                counter = self.holds(Exists(variables, Not(part)), tuple(known))
                return lambda facts, env: not counter(facts, env)
            case Or(parts) | And(parts):
                return _all_or_any([self._test(part, known) for part in parts], isinstance(formula, And))
        return self.holds(formula, tuple(known))


def _branches(formula: Formula) -> list[Branch]:
    """The branches of a formula whose variables have unique names and in which only atoms are negated."""
    match formula:
        case Atom():
            return [Branch(atoms=(formula,))]
        case Or(parts):
            return _few(branch for part in parts for branch in _branches(part))
        case Exists(variables, part):
            return [Branch(variables) + branch for branch in _branches(part)]
        case And(parts):
            branches = [Branch()]
            for part in sorted(parts, key=lambda part: isinstance(part, Or)):
                branches = _few(_joined(branches, part))
            return branches
    return [Branch(tests=(formula,))]


def _joined(branches: Sequence[Branch], part: Formula) -> Iterator[Branch]:
    """Each of `branches` combined with `part`. A disjunction whose variables a branch binds is tested in place."""
    free = _free(part) if isinstance(part, Or) else None
    others: list[Branch] | None = None
    for branch in branches:
        if free is not None and free <= {term for atom in branch.atoms for term in atom.terms}:
            yield branch + Branch(tests=(part,))
        else:
            others = _branches(part) if others is None else others
            yield from (branch + other for other in others)


def _few(branches: Iterable[Branch]) -> list[Branch]:
    few = list(islice(branches, MAX_BRANCHES + 1))
    if len(few) > MAX_BRANCHES:
        raise FormatError(f"a condition has more than {MAX_BRANCHES} alternatives")
    return few


def _all_or_any(tests: Sequence[Test], every: bool) -> Test:
    of = all if every else any

    def run(facts: Facts, env: Env) -> bool:
        facts.spend(len(tests))
        return of(test(facts, env) for test in tests)

    return run


def _types(branch: Branch) -> set[str]:
    return {each.type for each in branch.variables}


def _undeclared(names: set[str]) -> FormatError:
    shown = ", ".join(sorted(name.partition("#")[0] for name in names))
    return FormatError(f"a condition uses {shown}, which neither a parameter nor a quantifier declares")


def _normal(formula: Formula, positive: bool = True) -> Formula:
    """The negation normal form: only atoms and equalities are negated. A negated existential becomes universal."""
    match formula:
        case Not(part):
            return _normal(part, not positive)
        case And(parts):
            return (And if positive else Or)(tuple(_normal(part, positive) for part in parts))
        case Or(parts):
            return (Or if positive else And)(tuple(_normal(part, positive) for part in parts))
        case Exists(variables, part):
            return (Exists if positive else Forall)(variables, _normal(part, positive))
        case Forall(variables, part):
            return (Forall if positive else Exists)(variables, _normal(part, positive))
    return formula if positive else Not(formula)


def _free(formula: Formula) -> set[str]:
    return {term for term in terms_of(formula) if term.startswith("?")}


def terms_of(formula: Formula) -> set[str]:
    """The free variables of a formula and the objects in it."""
    match formula:
        case Atom(_, terms):
            return set(terms)
        case Equal(left, right):
            return {left, right}
        case Not(part):
            return terms_of(part)
        case And(parts) | Or(parts):
            return {term for part in parts for term in terms_of(part)}
        case Exists(variables, part) | Forall(variables, part):
            return terms_of(part) - {each.name for each in variables}
