"""The content judges: how good is what an edit writes, in [0, 1]."""
