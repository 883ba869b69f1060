"""Review: which edits are admitted, and who decides on them."""
