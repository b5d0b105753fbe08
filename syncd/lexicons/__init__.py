"""The lexicons that syncd ships. Opens the bundle at the first use, and no other file."""
