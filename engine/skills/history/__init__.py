"""The git history of a repository of skills."""
