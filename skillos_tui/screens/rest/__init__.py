"""Act on the rest of the present filter."""
