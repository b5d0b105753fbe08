"""The git repository around a folder, through the `git` program alone. Knows no PDS and no state.

`place` finds it and what it is in the middle of, `program` runs git, `commits` and `versions` write
and read commits, `message` is what they say, `drivers` registers syncd for merges and diffs.
"""
