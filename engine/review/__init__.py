"""From a proposed edit to a commit: gates, queue, decisions."""
