"""Measuring a curator, and recomputing every number of a run from its log."""
