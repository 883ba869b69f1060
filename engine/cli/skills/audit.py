"""`audit`: look for what is hidden, secret, dangerous or copied in every file of the skills."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.common import Commands, UsageError, add_command, print_json, user_name
from engine.cli.progress import progress_of
from engine.cli.skills.target import (
    add_all,
    found_name,
    is_empty,
    log_accepted,
    open_repo,
    policy_of,
    print_left_out,
    root_of,
)
from engine.core.errors import SkillosError
from engine.core.output import note, say
from engine.core.text import counted, printable

if TYPE_CHECKING:
    from engine.skills.audit.files import Located
    from engine.skills.audit.repository import RepoAudit

SEVERITIES = ("info", "warning", "danger")


def add_actions(actions: Commands) -> None:
    audit = add_command(actions, "audit", "look for what is hidden, secret, dangerous or copied", _audit)
    audit.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    add_all(audit)
    audit.add_argument(
        "--fail-on", choices=[*SEVERITIES, "never"], default="danger", help="from which severity on to exit with 1"
    )
    audit.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="NAME:RULE:HASH",
        help="accept a finding for the file's present content; this is logged (more than once)",
    )


def _audit(options: argparse.Namespace) -> int:
    from engine.skills.audit.accepted import SHORT, Acceptance
    from engine.skills.audit.repository import accept_findings

    try:
        wanted = [Acceptance.parse(text) for text in options.accept]
    except SkillosError as error:
        raise UsageError(str(error)) from error
    repo, root, by = open_repo(options), root_of(options.repo), user_name()
    names = [found_name(repo, name) for name in options.names]
    report = _report(options, root, names)
    if wanted:
        accepted = accept_findings(root, report, wanted, by)
        log_accepted(options.repo, [str(each) for each in accepted], by)
        report = _report(options, root, names)
    if options.json:
        print_json(report)
    else:
        for skill in report.skills:
            for each in skill.found:
                place = skill.skill if each.file == skill.own else f"{skill.skill}/{each.file}"
                found = each.finding
                line = f"{place}:{found.line}: {found.severity}: {found.rule}: {found.message}"
                say(printable(line, 400) + printable(f"  [{each.content[:SHORT]}]{_mark(each)}"))
        print_left_out(report.left_out, options)
        for left in report.unaudited:
            note(printable(f"not audited: {left.place}: {left.why}"))
        if is_empty(repo):
            return 1
        open_ = [each for skill in report.skills for each in skill.found if not each.accepted]
        counts = ", ".join(f"{sum(e.finding.severity == s for e in open_):,} {s}" for s in reversed(SEVERITIES))
        files = f"{counted(report.audited, 'file')} of {counted(len(report.skills), 'skill')} audited"
        claimed = f", {report.claimed:,} accepted by others only" if report.claimed else ""
        say(f"{files}, {len(report.unaudited):,} not audited: {counts}, {report.accepted:,} accepted{claimed}")
        if report.claimed:
            note("an acceptance counts for the account that made it; look at the finding, and accept it yourself")
        if any(each.finding.severity == "danger" for each in open_):
            note("what is harmless can be accepted for this content: --accept NAME:RULE:HASH")
    failing = SEVERITIES[SEVERITIES.index(options.fail_on) :] if options.fail_on != "never" else ()
    found_one = any(
        each.finding.severity in failing and not each.accepted for skill in report.skills for each in skill.found
    )
    return 1 if not len(repo) or found_one or (report.unaudited and "danger" in failing) else 0


def _report(options: argparse.Namespace, root: Path, names: list[str]) -> RepoAudit:
    from engine.skills.audit.repository import audit_folder

    with progress_of("audit", "skills") as reached:
        return audit_folder(root, policy_of(options.repo), names, reached=reached)


def _mark(found: Located) -> str:
    """Who accepted a finding, and whether that counts."""
    if found.claimed:
        return f"  (accepted by {found.claimed} of this repository, not by this account)"
    return f"  (accepted by {found.accepted})" if found.accepted else ""
