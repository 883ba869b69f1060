"""The dialog that asks for the reason of a veto."""
