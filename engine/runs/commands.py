"""What a person may ask of a running engine, as plain data: sent with `run.send`, taken once by `run.take_commands`."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, tag_field="command", tag=str.lower):
    """The base of all commands."""


class Pause(Command, frozen=True):
    """Finish what is in hand, then wait for `Resume`."""


class Resume(Command, frozen=True):
    """Continue after `Pause`, and take `StopAfter` back."""


class Stop(Command, frozen=True):
    """End at once where rollouts are played, after the update where one is made. What was saved stays: a resumed run does
    the step or task that was given up again."""


class StopAfter(Command, frozen=True):
    """End when the present step or task has ended and is saved; `Resume` takes it back."""


class Change(Command, frozen=True):
    """Change the setting `key` to `value`, which is JSON (`engine.runs.changing`)."""

    key: str
    value: str


AnyCommand = Pause | Resume | Stop | StopAfter | Change


class Sent(msgspec.Struct, frozen=True):
    """A command with who sent it and when (unix time)."""

    at: float
    by: str
    command: AnyCommand


_encoder = msgspec.json.Encoder()


def encode_command(command: AnyCommand) -> bytes:
    """The command as JSON."""
    return _encoder.encode(command)
