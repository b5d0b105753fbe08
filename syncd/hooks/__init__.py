"""Run the programs that a person asked for after a sync. Nothing of a sync depends on them.

`table` is what the settings say, `permission` remembers what a person allowed on this machine,
`program` runs one program within bounds, and `queue` runs several, one at a time.
"""
