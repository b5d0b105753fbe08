"""The blobs that records name, in a cycle: which are missing, which are fetched, which are kept."""
