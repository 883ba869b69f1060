"""The sheet that explains the words of the workbench."""
