"""Choose who decides on edits."""
