"""The machine: memory, and what is checked before a run is created."""
