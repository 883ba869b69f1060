"""The shipped model of a few million parameters."""
