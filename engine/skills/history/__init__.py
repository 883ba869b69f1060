"""The git history of a repository of skills. `history.History` is the entry point."""
