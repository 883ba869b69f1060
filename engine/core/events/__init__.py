"""Everything that can happen in a run, as plain data.

Every reward can be recomputed from the event log alone (`method.md` §2). Any room may emit events through a `Sink`; only
`engine.runs.log` knows that they are stored in SQLite. `encode` and `decode` convert an event to JSON and back.

    sink(TurnTaken(at=PositionId(step=1, group=0, rollout=2, position=3), turn=1, action="go box", ...))

Rewards are floats or None, and None means *not measured*: it is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import get_args

import msgspec

from engine.core.events.base import Event as Event
from engine.core.events.machine import MemoryMeasured as MemoryMeasured
from engine.core.events.machine import ModelsUsed as ModelsUsed
from engine.core.events.machine import ServerMeasured as ServerMeasured
from engine.core.events.play import CallsKept as CallsKept
from engine.core.events.play import CompletionMade as CompletionMade
from engine.core.events.play import CurationMade as CurationMade
from engine.core.events.play import CurationSkipped as CurationSkipped
from engine.core.events.play import EpisodeEnded as EpisodeEnded
from engine.core.events.play import EpisodeStarted as EpisodeStarted
from engine.core.events.play import MeasurementStarted as MeasurementStarted
from engine.core.events.play import RolloutScored as RolloutScored
from engine.core.events.play import StepStarted as StepStarted
from engine.core.events.play import TurnTaken as TurnTaken
from engine.core.events.review import EditDecided as EditDecided
from engine.core.events.review import EditProposed as EditProposed
from engine.core.events.review import EditWithheld as EditWithheld
from engine.core.events.review import FindingsAccepted as FindingsAccepted
from engine.core.events.review import ProposalsWithheld as ProposalsWithheld
from engine.core.events.run import Notice as Notice
from engine.core.events.run import PreflightMade as PreflightMade
from engine.core.events.run import Progress as Progress
from engine.core.events.run import PromptsUsed as PromptsUsed
from engine.core.events.run import RunStarted as RunStarted
from engine.core.events.run import SettingChanged as SettingChanged
from engine.core.events.run import State as State
from engine.core.events.run import StateChanged as StateChanged
from engine.core.events.run import UnitEnded as UnitEnded
from engine.core.events.training import AdapterPublished as AdapterPublished
from engine.core.events.training import AlarmsChecked as AlarmsChecked
from engine.core.events.training import CheckpointKept as CheckpointKept
from engine.core.events.training import CheckpointSaved as CheckpointSaved
from engine.core.events.training import CheckpointsRemoved as CheckpointsRemoved
from engine.core.events.training import HeldOutMeasured as HeldOutMeasured
from engine.core.events.training import StepEnded as StepEnded
from engine.core.events.training import UpdateMade as UpdateMade
from engine.core.position import PositionId as PositionId
from engine.core.records import Alarm as Alarm
from engine.core.records import Call as Call
from engine.core.records import ChatMessage as ChatMessage
from engine.core.records import Check as Check
from engine.core.records import GpuMemory as GpuMemory
from engine.core.records import GroupDrawn as GroupDrawn
from engine.core.records import JudgedTwice as JudgedTwice
from engine.core.records import ModelCall as ModelCall
from engine.core.records import ModelUse as ModelUse
from engine.core.records import ProcessMemory as ProcessMemory
from engine.core.records import RewardBreakdown as RewardBreakdown
from engine.core.records import SamplerRatio as SamplerRatio
from engine.core.records import ScoredOption as ScoredOption
from engine.core.records import SkillFound as SkillFound
from engine.core.records import Veto as Veto

AnyEvent = (
    RunStarted
    | StateChanged
    | StepStarted
    | Progress
    | MeasurementStarted
    | EpisodeStarted
    | TurnTaken
    | EpisodeEnded
    | CallsKept
    | CompletionMade
    | CurationMade
    | CurationSkipped
    | RolloutScored
    | UpdateMade
    | HeldOutMeasured
    | StepEnded
    | UnitEnded
    | EditProposed
    | EditDecided
    | EditWithheld
    | ProposalsWithheld
    | FindingsAccepted
    | CheckpointSaved
    | MemoryMeasured
    | ServerMeasured
    | ModelsUsed
    | AdapterPublished
    | AlarmsChecked
    | CheckpointsRemoved
    | CheckpointKept
    | SettingChanged
    | PromptsUsed
    | PreflightMade
    | Notice
)


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """What is read in the place of an event that this version cannot read: `kind` as it is stored, and why. It is never
    written. In JSON it is `{"kind": "dreamt", "unreadable": "…"}`."""

    kind: str
    why: str = msgspec.field(name="unreadable")


Sink = Callable[[AnyEvent], None]

_encoder = msgspec.json.Encoder()


@cache
def _decoder() -> msgspec.json.Decoder[AnyEvent]:
    """It takes 4 ms to make, which the first paint of the workbench does not need."""
    return msgspec.json.Decoder(AnyEvent)


_kinds: Mapping[type, str] = MappingProxyType({type_: type_.__struct_config__.tag for type_ in get_args(AnyEvent)})
_known = frozenset(_kinds.values())
_stored_kinds: Mapping[type, bytes] = MappingProxyType({type_: kind.encode() for type_, kind in _kinds.items()})


def kind_of(event: AnyEvent | Unreadable) -> str:
    """The event's kind, as stored and as shown: `turn_taken`, `step_ended`, …"""
    return event.kind if isinstance(event, Unreadable) else _kinds[type(event)]


def encode(event: AnyEvent) -> bytes:
    """The event as JSON, its kind included."""
    return _encoder.encode(event)


def decode(data: bytes | str) -> AnyEvent:
    """The event of one JSON object. Raises `msgspec.ValidationError` for anything else."""
    event: AnyEvent = _decoder().decode(data)
    return event


def read(kind: bytes, data: bytes) -> AnyEvent | Unreadable:
    """The event of a stored `kind` and its JSON, or why it cannot be read. Raises nothing, whatever the bytes are."""
    try:
        event: AnyEvent = _decoder().decode(data)
        if _stored_kinds[type(event)] == kind:
            return event
        name, why = kind.decode(errors="replace"), f"its content is of another kind: {kind_of(event)}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = kind.decode(errors="replace")
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        why = f"its content is not that of a {name} event: {why}"
        if name not in _known:
            why = "this version does not know its kind; a newer skillos-tui may have written it"
    return Unreadable(name, why)
