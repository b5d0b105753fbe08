"""File events of one folder: which records are dirty, or "look everywhere". Never reads a file."""

from syncd.watch.watcher import BLIND_SECONDS, MAX_PATHS, Dirty, Watcher

__all__ = ["BLIND_SECONDS", "MAX_PATHS", "Dirty", "Watcher"]
