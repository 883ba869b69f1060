"""Ask on a terminal about the skills of a source that need a decision: a name twice, a taken name, a blocking finding.

    choices, accepted = ask(candidates, given, clash)

A wrong answer is asked again. The end of the input (Ctrl+D) ends the import, and nothing is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.cli.common import CommandError
from engine.core.text import counted, printable
from engine.skills.audit.accepted import Acceptance
from engine.skills.exchange.candidates import Candidate
from engine.skills.exchange.importing import Choice, Clash, Leave, Rename, Replace, Take, by_place
from engine.skills.format.names import new_name_problem, same_on_some_disks


def ask(
    listed: Sequence[Candidate], choices: Mapping[str, Choice], clash: Clash
) -> tuple[dict[str, Choice], list[Acceptance]]:
    """What the person chooses beside `choices`, by place, and the findings that are accepted. Raises `CommandError`."""
    decided = by_place(choices, listed)
    groups: dict[str, list[Candidate]] = {}
    for each in listed:
        groups.setdefault(same_on_some_disks(each.name), []).append(each)
    made: dict[str, Choice] = {}
    accepted: list[Acceptance] = []
    for group in groups.values():
        chosen = _one_of(group, decided, made)
        if chosen is None:
            continue
        if chosen.state == "differs" and chosen.place not in decided and clash == "refuse":
            made[chosen.place] = _about_the_name(chosen)
        if chosen.blocking and chosen.state != "same" and not isinstance(made.get(chosen.place), Leave):
            accepted += _about_findings(chosen)
    return made, accepted


def _one_of(group: Sequence[Candidate], decided: Mapping[str, Choice], made: dict[str, Choice]) -> Candidate | None:
    """The skill of one name that is imported, None where none is. Asks where the source has several."""
    left = [each for each in group if not isinstance(decided.get(each.place), Leave)]
    taken = [each for each in left if each.place in decided]
    if taken or len(left) < 2 or any(each.state == "same" for each in left):
        return next(iter(taken or left), None)
    print(printable(f"{left[0].name} is {len(left)} times in the source, with other content:"))
    for number, each in enumerate(left, start=1):
        print(printable(f"  {number}  {each.place}  {counted(each.files, 'file')}, {each.bytes:,} bytes"))
    keys = {str(number): each for number, each in enumerate(left, start=1)}
    answer = _answer(f"which one is imported? [1-{len(left)}, n: none] ", {*keys, "n"})
    for each in left:
        made[each.place] = Take() if keys.get(answer) is each else Leave()
    if answer != "n" and keys[answer].state == "differs":
        del made[keys[answer].place]
        made[keys[answer].place] = _about_the_name(keys[answer])
        return None if isinstance(made[keys[answer].place], Leave) else keys[answer]
    return keys.get(answer)


def _about_the_name(each: Candidate) -> Choice:
    print(printable(f"{each.name} ({each.place}): the repository has another skill {each.taken_by!r}"))
    can_replace = each.taken_by == each.name
    form = "[n: leave it out, r: import it under another name" + (", p: replace that one] " if can_replace else "] ")
    match _answer(form, {"n", "r", *(["p"] if can_replace else [])}):
        case "n":
            return Leave()
        case "p":
            return Replace()
    while True:
        name = _line("new name: ")
        problem = new_name_problem(name)
        if problem is None:
            return Rename(name)
        print(printable(problem))


def _about_findings(each: Candidate) -> list[Acceptance]:
    """The accepted findings of a skill, [] where the person accepts none."""
    print(printable(f"{each.name} ({each.place}): the audit blocks it:"))
    for found in each.blocking:
        print(printable(f"  {found.file}:{found.finding.line}: {found.finding.rule}: {found.finding.message}"))
    if _answer("import it all the same, and log that you accept this? [y/n] ", {"y", "n"}) == "n":
        return []
    return list(dict.fromkeys(Acceptance.of(each.name, found) for found in each.blocking))


def _answer(question: str, allowed: set[str]) -> str:
    while True:
        answer = _line(question).lower()
        if answer in allowed:
            return answer
        print(f"please answer {', '.join(sorted(allowed))}")


def _line(question: str) -> str:
    """One line of the person. Raises `CommandError` at the end of the input."""
    try:
        return input(question).strip()
    except UnicodeDecodeError:
        return ""
    except EOFError as error:
        print()
        raise CommandError("there was no answer, so nothing was imported") from error
