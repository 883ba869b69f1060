"""Faults that are injected into real runs and repositories, with counts."""
