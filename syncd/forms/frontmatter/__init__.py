"""The front matter of a page: YAML 1.2 of the core schema, and of that only what JSON says too.

Pure. Never resolves an anchor or a tag, and never reads a date or a float: both sides of a text
would have to guess alike.
"""
