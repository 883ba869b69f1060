"""The executor, the curator, their prompts and the judges."""
