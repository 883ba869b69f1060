"""Parts as other packages would write them: one module each, one line each in `tests/extending/site`."""
