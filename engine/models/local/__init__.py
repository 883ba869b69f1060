"""A language model in the engine's own process."""
