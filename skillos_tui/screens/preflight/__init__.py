"""The dialog that shows the preflight of a run that is being started."""
