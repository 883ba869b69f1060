"""The prompts that ship, one folder of Markdown files each, and the registry that finds them."""
