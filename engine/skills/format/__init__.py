"""The skill file: YAML frontmatter and a Markdown body."""
