"""A folder of skills: its layout, its contents, its changes by hand."""
