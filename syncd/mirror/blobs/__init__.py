"""What a person asks of the blobs of a mirror: which they are, and to have them here."""
