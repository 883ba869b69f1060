"""Rollouts: groups of tasks that are played and curated, and the rewards of what was curated."""
