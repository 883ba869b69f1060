"""Rollouts of task groups: play, curate, score."""
