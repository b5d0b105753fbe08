"""File events of one folder: which records are dirty, or that everything is to be looked at."""

from syncd.watch.watcher import BLIND_SECONDS, MAX_PATHS, Dirty, Watcher

__all__ = ["BLIND_SECONDS", "MAX_PATHS", "Dirty", "Watcher"]
