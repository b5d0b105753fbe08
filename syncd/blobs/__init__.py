"""The blobs that records name, as files: `blobs/<cid>.<ext>`, each under its own hash.

A blob is the attachment of a version of a record. It is never a side of a sync: no verdict, no plan
and no base knows it.
"""
