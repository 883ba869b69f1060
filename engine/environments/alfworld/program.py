"""A game, compiled: its facts at the start, its actions with their commands and answers, its goal.

Nothing in a program changes while it is played, except memories of what was computed before; any number of
environments, in threads or not, share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.environments.alfworld.actions import Action
from engine.environments.alfworld.conditions import Compiler
from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.facts import Change, Facts, Layout, Row
from engine.environments.alfworld.grammar import Placeholder, Reference, parse_grammar
from engine.environments.alfworld.naming import name_entities
from engine.environments.alfworld.pddl import Schema, parse_domain, parse_problem
from engine.environments.alfworld.text import Sentence, Writer

Moves: TypeAlias = dict[str, Row]
MEMORY = 4096


class BrokenGame(ValueError):
    """A game that cannot be played; the message names the part, the line and what was expected."""


@dataclass(slots=True)
class Command:
    """An action of a game with its texts; `moves` are the commands that do it now."""

    action: Action
    template: Sentence
    feedback: Sentence
    reads: frozenset[int]
    _commands: dict[Row, str] = field(default_factory=dict)
    _moves: dict[tuple[object, ...], Moves] = field(default_factory=dict)

    def moves(self, facts: Facts) -> Moves:
        """The arguments by command; remembered where few facts decide (where the player is, what is held)."""
        deciding = [facts.rows[predicate] for predicate in self.reads]
        if any(len(rows) > 1 for rows in deciding):
            return self._search(facts)
        key = tuple([next(iter(rows), None) for rows in deciding])
        known = self._moves.get(key)
        if known is None:
            known = self._search(facts)
            if len(self._moves) < MEMORY:
                self._moves[key] = known
        return known

    def _search(self, facts: Facts) -> Moves:
        moves: Moves = {}
        for row in self.action.rows(facts):
            command = self._command(facts, row)
            if command not in moves or row < moves[command]:
                moves[command] = row
        return moves

    def _command(self, facts: Facts, row: Row) -> str:
        if self.template.reads:
            return self.template(facts, row)
        command = self._commands.get(row)
        if command is None:
            command = self._commands[row] = self.template(facts, row)
        return command


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Program:
    """What an environment needs. `won` says whether the goal holds; `goal_reads` are the predicates that decide it."""

    layout: Layout
    start: Facts
    commands: tuple[Command, ...]
    intro: Sentence
    won: Callable[[Facts], bool]
    goal_reads: frozenset[int]

    def do(self, facts: Facts, number: int, row: Row) -> tuple[str, set[int]]:
        """Does an action and returns the answer and the predicates that changed. Raises `BrokenGame`."""
        command = self.commands[number]
        gone: set[Change]
        come: set[Change]
        gone, come = command.action.changes(facts, row)
        changed = facts.apply(gone, come)
        try:
            return command.feedback(facts, row), changed
        except FormatError as error:
            raise BrokenGame(error.what) from None


def compile_program(domain_text: str, grammar_text: str, problem_text: str) -> Program:
    """The program of a game's three texts. Raises `BrokenGame`."""
    with _reading("pddl_domain", domain_text):
        domain = parse_domain(domain_text)
    with _reading("grammar", grammar_text):
        grammar = parse_grammar(grammar_text)
    with _reading("pddl_problem", problem_text):
        problem = parse_problem(problem_text, domain)
        layout = Layout.of(domain, problem)
        goal = Compiler(layout)
        holds = goal.holds(problem.goal)
    with _reading("pddl_domain", domain_text):
        actions = [Action(layout, schema) for schema in domain.schemas]
    with _reading("grammar", grammar_text):
        writer = Writer(layout, grammar, name_entities(layout))
        intro = writer.sentence((Reference("intro"),))
        commands = tuple(
            _command(writer, schema, action) for schema, action in zip(domain.schemas, actions, strict=True)
        )
        start = layout.facts()
        intro(start)
    return Program(
        layout, start, commands, intro, lambda facts: holds(facts, goal.template.copy()), frozenset(goal.reads)
    )


def _command(writer: Writer, schema: Schema, action: Action) -> Command:
    text = writer.grammar.actions.get(schema.name)
    if text is None:
        raise FormatError(f"the grammar has no text for the domain's action {schema.name}")
    scope = tuple(Placeholder(each.name.removeprefix("?"), each.type) for each in schema.parameters)
    template = writer.sentence(text.template, scope)
    return Command(action, template, writer.sentence(text.feedback, scope), action.reads | template.reads)


@contextmanager
def _reading(part: str, text: str) -> Iterator[None]:
    """Names the part of the game and the line in it."""
    try:
        yield
    except FormatError as error:
        line = error.line_in(text)
        raise BrokenGame(f"{part}{f', line {line}' if line else ''}: {error.what}") from None
    except RecursionError:
        raise BrokenGame(f"{part}: is nested too deeply") from None
