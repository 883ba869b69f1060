"""Tests of what is between a role's call and a model server."""
