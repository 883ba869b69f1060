"""ALFWorld games on disk: the official layout and packed splits."""
