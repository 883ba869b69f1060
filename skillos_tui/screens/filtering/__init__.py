"""Ask for a filter of the queue."""
