"""Generated houses with things to fetch; needs no files."""
