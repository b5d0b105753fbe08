"""The blobs of a mirror: what they are, and the files of their bytes."""
