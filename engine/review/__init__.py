"""From a proposed edit to a commit: checks, queue, decisions."""
