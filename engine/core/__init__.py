"""What every room may use, and what imports none of them: errors, outcomes, seeds, events, edits, findings, text, files."""
