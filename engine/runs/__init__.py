"""A run on disk: its event log, its projections, its engine process, its commands."""
