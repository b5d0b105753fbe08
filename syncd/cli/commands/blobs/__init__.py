"""`syncd blob`: the blobs that records name."""
