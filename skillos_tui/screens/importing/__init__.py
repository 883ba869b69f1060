"""The dialog that imports skills, one by one as a person chooses."""
