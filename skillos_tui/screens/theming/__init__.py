"""The dialog that chooses a theme."""
