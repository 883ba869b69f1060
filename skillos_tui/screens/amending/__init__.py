"""Amend an edit's text in place."""
