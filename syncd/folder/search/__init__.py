"""Search the folder for files that stand for no record. Never writes, never follows a link."""
