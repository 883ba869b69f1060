"""Who decides where nobody did: what each policy does, when, under which name, and what it leaves to a person."""

from __future__ import annotations

import math

import msgspec
import pytest

from engine.config import ConfigError, load_profile, parse, to_toml
from engine.core.edit import Decision, Edit, Provenance
from engine.core.events import AnyEvent, EditDecided, EditProposed, PositionId, RunStarted, SettingChanged
from engine.review.opened import LEASE_SECONDS, Opened
from engine.review.policies import POLICIES, Since, is_policy, policy_line, signature
from engine.review.settings import PolicyName, ReviewSettings
from engine.runs.log import Stored

CAUSE = Provenance(PositionId(3))
EDIT = Edit("insert", "a", None, "text", id="e1", state="pending", provenance=CAUSE)
MEASURED = msgspec.structs.replace(EDIT, scores={"probe": 0.62})


def since(*events: tuple[float, AnyEvent]) -> Since:
    found = Since()
    for number, (at, event) in enumerate(events, start=1):
        found.take(Stored(number, at, event))
    return found


def decision(
    policy: PolicyName,
    now: float,
    *events: tuple[float, AnyEvent],
    edit: Edit = EDIT,
    opened: Opened | None = None,
    waited_for: bool = False,
) -> Decision | None:
    review = ReviewSettings(policy=policy, policy_seconds=60.0)
    proposed = (100.0, EditProposed(edit))
    return since(proposed, *events).decision(review, edit, opened or Opened(), now, waited_for=waited_for)


def taken(found: Decision | None) -> tuple[str, str, str] | None:
    return None if found is None else (found.action, found.by, found.reason)


def test_ask_leaves_all_to_a_person() -> None:
    assert decision("ask", math.inf) is None


def test_auto_approves_at_once_and_gate_only_what_a_gate_measured() -> None:
    assert taken(decision("auto", 100.0)) == ("approve", "policy auto", "")
    assert decision("gate", 1e9) is None
    found = decision("gate", 100.0, edit=MEASURED)
    assert taken(found) == ("approve", "policy gate", "measured by the gates: probe 0.620")


@pytest.mark.parametrize(("policy", "action"), [("approve_after", "approve"), ("veto_after", "veto")])
def test_a_policy_with_a_time_decides_when_it_is_over(policy: PolicyName, action: str) -> None:
    assert decision(policy, 159.9) is None
    assert taken(decision(policy, 160.0)) == (action, f"policy {policy}", "nobody decided within 60 s")


def test_while_a_person_has_the_edit_open_no_time_passes_and_no_policy_takes_it() -> None:
    opened = Opened([("e1", 110.0, 150.0), ("e2", 100.0, 190.0)])
    assert decision("veto_after", 199.0, opened=opened) is None
    assert decision("veto_after", 200.0, opened=opened) is not None
    still = Opened([("e1", 110.0, 300.0 + LEASE_SECONDS)])
    for policy in POLICIES:
        assert decision(policy, 300.0, opened=still, edit=MEASURED) is None


def test_the_time_begins_when_the_policy_is_chosen() -> None:
    """Otherwise a change to `veto_after` would veto at once all that waits."""
    for chosen in (
        SettingChanged("review.policy", '"ask"', '"veto_after"', "ann"),
        SettingChanged("review.policy_seconds", "9000.0", "60.0", "ann"),
        RunStarted("train", "pocket", 1, 1, changed=["review.policy"]),
    ):
        assert decision("veto_after", 1059.0, (1000.0, chosen)) is None
        assert decision("veto_after", 1060.0, (1000.0, chosen)) is not None
    other = SettingChanged("training.steps", "1", "2", "ann")
    assert decision("veto_after", 1000.0, (1000.0, other)) is not None


def test_auto_decides_on_what_is_proposed_after_it_was_chosen_and_on_what_is_waited_for() -> None:
    chosen = 200.0, SettingChanged("review.policy", '"ask"', '"auto"', "ann")
    assert decision("auto", 300.0, chosen) is None
    assert decision("auto", 300.0, chosen, waited_for=True) is not None


def test_what_was_left_of_the_steps_before_the_engine_began_waits_for_a_person_or_the_time() -> None:
    review = ReviewSettings(policy="auto")
    found = since((100.0, EditProposed(EDIT)))
    assert found.decision(review, EDIT, Opened(), 101.0, done=2) is not None
    assert found.decision(review, EDIT, Opened(), 101.0, done=3) is None
    assert found.decision(ReviewSettings(policy="veto_after"), EDIT, Opened(), 1e9, done=3) is not None


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "ask"])
def test_what_a_person_took_back_or_queued_again_is_the_person_s(policy: PolicyName) -> None:
    by_policy = 160.0, EditDecided("e1", Decision("veto", signature("veto_after")))
    undone = 170.0, EditDecided("e1", Decision("undo", "ann"))
    again = 180.0, EditProposed(MEASURED, "requeue")
    assert decision(policy, 1e9, by_policy, undone, edit=MEASURED) is None
    assert decision(policy, 1e9, by_policy, undone, again, edit=MEASURED) is None


def test_policies_are_told_from_people_by_their_names() -> None:
    assert all(is_policy(signature(policy)) for policy in POLICIES)
    assert not is_policy("ann") and not is_policy("policy") and not is_policy("")
    assert policy_line(ReviewSettings(policy="veto_after", policy_seconds=90)) == (
        "veto_after: what nobody decided within 90 s is vetoed"
    )


def test_the_policy_gate_needs_a_gate_that_measures() -> None:
    with pytest.raises(ConfigError, match=r"none of review\.gates = format, audit measures anything: add a gate"):
        load_profile("pocket", ["review.policy=gate"])
    with pytest.raises(ConfigError, match="choose another policy"):
        parse(to_toml(load_profile("pocket")), ["review.policy=gate"])
