"""Curation strategies: what is shown before a task, and how the repository is edited after it."""
