"""Which kinds of events the state of a run is folded from, by how much of the log it needs of them."""

from skillos_tui.model.episodes import EPISODE_KINDS

FOLDED_WHOLE = (
    "run_started",
    "state_changed",
    "setting_changed",
    "step_started",
    "step_ended",
    "update_made",
    "measurement_started",
    "held_out_measured",
    "alarms_checked",
    "edit_proposed",
    "edit_decided",
    "proposals_withheld",
    "notice",
)
"""Event kinds with few events, which are read from the beginning of the log; of the others the newest are enough."""
FOLDED_NEWEST = ("models_used", "adapter_published")
"""Event kinds of which the newest event replaces those before it; of a log that exists only that one is read. So are
"memory_measured" and, for each server, "server_measured", if the engine that was started last wrote them."""
FOLDED_RECENT = (*EPISODE_KINDS, "progress")
"""Event kinds with many events; the fold needs those of the last steps."""
FOLDED_AGAIN = (
    *EPISODE_KINDS,
    "state_changed",
    "step_ended",
    "measurement_started",
    "held_out_measured",
    "progress",
)
"""Event kinds that a view needs a second time, in the same order, when it follows another rollout."""
