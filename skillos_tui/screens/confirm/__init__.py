"""The dialog that asks before something that a person may not want."""
