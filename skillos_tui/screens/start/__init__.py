"""The dialog that starts a run of any kind, profile and settings."""
