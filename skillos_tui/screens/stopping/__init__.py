"""The dialog that asks how a run is stopped."""
