"""The dialog that changes a run that has begun."""
