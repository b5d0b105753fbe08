"""Run the programs that a person asked for after a sync. Nothing of a sync depends on them.

`table` is what the settings say and whether a person allowed it on this machine, `program` runs one
program within bounds, and `queue` runs several, one at a time.
"""
