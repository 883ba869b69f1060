"""ALFWorld games on disk, in the official layout or as packed splits."""
