"""What can go wrong with a run on disk. Each message tells what happened, where, and what to do."""

from __future__ import annotations

from engine.core.errors import SkillosError


class RunError(SkillosError):
    """Something about a run's directory that keeps it from being used; shown to the user as it is."""


class NotARun(RunError):
    """The path does not hold a run that this version can read."""


class RunExists(RunError):
    """A run cannot be created where something already lies."""


class RunLocked(RunError):
    """Another engine works on the run."""


class WriteFailed(RunError):
    """The run's database could not be written (no space, no permission). What was committed before is safe."""
