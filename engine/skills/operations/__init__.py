"""The curator's calls: read from a completion, checked, applied."""
