"""Training with images that are read from disk, against the same images in memory."""
