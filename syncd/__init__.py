"""Keep a folder of JSON files and an AT Protocol repo identical, both ways, losing no version."""

__version__ = "0.1.0"
