"""Games, compiled: `Rules` for all games of a domain and a grammar, and a `Program` for one game.

    library = Library()
    program = library.program(domain_text, grammar_text, problem_text, task)

While a game is played, only caches in them change. Any number of environments, in threads or not, share a program, and a
library's programs share their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

from engine.core.errors import SkillosError
from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl.actions import Action, constants_of
from engine.environments.alfworld.pddl.conditions import Compiler, terms_of
from engine.environments.alfworld.pddl.facts import MAX_PLAYING, Facts, Frame, Objects, Row, initial_rows
from engine.environments.alfworld.pddl.language import Domain, Formula, Problem, Schema, parse_domain, parse_problem
from engine.environments.alfworld.play.grammar import Placeholder, Reference, parse_grammar
from engine.environments.alfworld.play.naming import name_entities
from engine.environments.alfworld.play.text import Sentence, Writer

Moves: TypeAlias = dict[str, Row]
PLACE_OF_TASK = "@@TASK@@"
MEMORY = 10_000
SHELF = 64


class BrokenGame(SkillosError, ValueError):
    """A game that cannot be played; the message names the part, the line and what was expected."""


@dataclass(frozen=True, slots=True)
class Command:
    """An action with its texts; `reads` are the predicates that decide the commands that do it.

    `key` are the arguments that decide the template's text, None where facts decide it too.
    """

    action: Action
    template: Sentence
    feedback: Sentence
    reads: frozenset[int]
    key: Callable[[Row], object] | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the games of a domain and a grammar have in common. `constants` are the objects that the actions name."""

    domain: Domain
    frame: Frame
    constants: tuple[str, ...]
    commands: tuple[Command, ...]
    intro: Sentence


@dataclass(slots=True, weakref_slot=True)
class Program:
    """One game. `goal_reads` are the predicates that decide whether it is won.

    `opening`, `first_moves` (by action) and `won_at_start` describe the start of an episode. Commands, and the moves of
    actions that few facts decide, are cached, `MEMORY` of them in all. Every method raises `BrokenGame`.
    """

    rules: Rules
    task: str
    start: Facts
    goal: Callable[[Facts], bool]
    goal_reads: frozenset[int]
    opening: str = field(init=False)
    first_moves: tuple[Moves, ...] = field(init=False)
    won_at_start: bool = field(init=False)
    _room: int = MEMORY
    _commands: list[dict[object, str]] = field(init=False)
    _moves: list[dict[tuple[object, ...], Moves]] = field(init=False)

    def __post_init__(self) -> None:
        actions = range(len(self.rules.commands))
        self._commands = [{} for _ in actions]
        self._moves = [{} for _ in actions]
        self.opening = self._text(self.rules.intro, self.start, ())
        self.first_moves = tuple([self.moves(number, self.start) for number in actions])
        self.won_at_start = self.won(self.start)

    def won(self, facts: Facts) -> bool:
        """Whether the goal holds."""
        try:
            return self.goal(facts)
        except FormatError as error:
            raise BrokenGame(f"pddl_problem: the goal {error.what}") from None

    def moves(self, number: int, facts: Facts) -> Moves:
        """The arguments of an action by the commands that do it now."""
        deciding = [facts.rows[predicate] for predicate in self.rules.commands[number].reads]
        if any(len(rows) > 1 for rows in deciding):
            return self._search(number, facts)
        key = tuple([next(iter(rows), None) for rows in deciding])
        known = self._moves[number].get(key)
        if known is None:
            known = self._search(number, facts)
            if self._room > len(known):
                self._room -= 1 + len(known)
                self._moves[number][key] = known
        return known

    def do(self, number: int, facts: Facts, row: Row) -> tuple[str, set[int]]:
        """Do an action, which begins a step; return the answer and the predicates that changed."""
        command = self.rules.commands[number]
        facts.work_left = MAX_PLAYING
        try:
            changed = facts.apply(*command.action.changes(facts, row))
        except FormatError as error:
            raise BrokenGame(f"pddl_domain: the effect of {command.action.name} {error.what}") from None
        return self._text(command.feedback, facts, row), changed

    def _search(self, number: int, facts: Facts) -> Moves:
        action = self.rules.commands[number].action
        try:
            rows = action.rows(facts)
        except FormatError as error:
            raise BrokenGame(f"pddl_domain: the precondition of {action.name} {error.what}") from None
        moves: Moves = {}
        for row in rows:
            command = self._command(number, facts, row)
            if command and (command not in moves or row < moves[command]):
                moves[command] = row
        return moves

    def _command(self, number: int, facts: Facts, row: Row) -> str:
        """The command that a player types, with single blanks; "" where there is none."""
        command = self.rules.commands[number]
        key = command.key(row) if command.key else None
        text = self._commands[number].get(key)
        if text is None:
            text = " ".join(self._text(command.template, facts, row).split())
            if command.key and self._room:
                self._room -= 1
                self._commands[number][key] = text
        return text

    def _text(self, sentence: Sentence, facts: Facts, row: Row) -> str:
        try:
            text = sentence(facts, row)
            if PLACE_OF_TASK in text:
                facts.spend(text.count(PLACE_OF_TASK) * len(self.task))
                text = text.replace(PLACE_OF_TASK, self.task)
            return text
        except FormatError as error:
            raise BrokenGame(f"grammar: {error.what}") from None


class Library:
    """Compiles games, and keeps the rules that they share."""

    def __init__(self) -> None:
        self._shelf: dict[tuple[str, str], Rules] = {}

    def program(self, domain_text: str, grammar_text: str, problem_text: str, task: str) -> Program:
        """The program of a game's texts; `PLACE_OF_TASK` in the grammar stands for `task`. Raises `BrokenGame`."""
        rules = self._shelf.get((domain_text, grammar_text))
        with _reading("pddl_domain", domain_text):
            domain = rules.domain if rules else parse_domain(domain_text)
        with _reading("pddl_problem", problem_text):
            problem = parse_problem(problem_text, domain)
        if rules is None:
            rules = _rules(domain, problem, domain_text, grammar_text)
            if len(self._shelf) < SHELF:
                self._shelf[domain_text, grammar_text] = rules
        with _reading("pddl_problem", problem_text):
            start, goal, goal_reads = _start(rules, problem)
        return Program(rules, task, start, goal, goal_reads)


def _start(rules: Rules, problem: Problem) -> tuple[Facts, Callable[[Facts], bool], frozenset[int]]:
    """The facts of a problem, whether its goal holds, and the predicates that decide that."""
    frame = rules.frame.extended()
    objects = Objects.of(rules.domain, frame, problem)
    constants = [objects.number(name) for name in rules.constants]
    goal, goal_reads = _goal(frame, objects, problem.goal)
    initial = initial_rows(frame, objects, problem)
    return Facts.of(frame, objects, name_entities(objects, initial), constants, initial), goal, goal_reads


def _goal(frame: Frame, objects: Objects, goal: Formula) -> tuple[Callable[[Facts], bool], frozenset[int]]:
    names = sorted(term for term in terms_of(goal) if not term.startswith("?"))
    numbers = [objects.number(name) for name in names]
    compiler = Compiler(frame, (), names)
    holds = compiler.holds(goal)
    return lambda facts: holds(facts, compiler.env(numbers)), frozenset(compiler.reads)


def _rules(domain: Domain, problem: Problem, domain_text: str, grammar_text: str) -> Rules:
    """The rules of a domain and a grammar; the problem is a sample of the games that will be played by them."""
    with _reading("pddl_domain", domain_text):
        frame = Frame.of(domain)
        frame.sample = initial_rows(frame, Objects.of(domain, frame, problem), problem)
        constants = tuple(sorted({name for schema in domain.schemas for name in constants_of(schema)}))
        actions = [_action(frame, schema, constants) for schema in domain.schemas]
    with _reading("grammar", grammar_text):
        grammar = parse_grammar(grammar_text)
        commands = _commands(Writer(frame, grammar), domain.schemas, actions)
        return Rules(domain, frame, constants, commands, Writer(frame, grammar).sentence((Reference("intro"),)))


def _action(frame: Frame, schema: Schema, constants: Sequence[str]) -> Action:
    try:
        return Action(frame, schema, constants)
    except FormatError as error:
        raise FormatError(f"the action {schema.name}: {error.what}", error.tokens or (":action", schema.name)) from None


def _commands(writer: Writer, schemas: Sequence[Schema], actions: Sequence[Action]) -> tuple[Command, ...]:
    commands = []
    for schema, action in zip(schemas, actions, strict=True):
        text = writer.grammar.actions.get(schema.name)
        if text is None:
            raise FormatError(f"the grammar has no text for the domain's action {schema.name}")
        scope = tuple(Placeholder(each.name.removeprefix("?"), each.type) for each in schema.parameters)
        template, feedback = writer.sentence(text.template, scope), writer.sentence(text.feedback, scope)
        needs = template.needs
        key = None if needs.reads else itemgetter(*needs.slots) if needs.slots else lambda row: ()
        commands.append(Command(action, template, feedback, action.reads | needs.reads, key))
    return tuple(commands)


@contextmanager
def _reading(part: str, text: str) -> Iterator[None]:
    """Raise errors as `BrokenGame`s that name the part of the game and the line in it."""
    try:
        yield
    except FormatError as error:
        line = error.line_in(text)
        raise BrokenGame(f"{part}{f', line {line}' if line else ''}: {error.what}") from None
    except RecursionError:
        raise BrokenGame(f"{part}: is nested too deeply") from None
