"""Use the git repository around a folder through the `git` program. Never knows a PDS or a state.

`repository` finds the repository and its unfinished operations. `program` runs git. `commits` and
`versions` write and read commits; `message` makes and parses their messages. `drivers` registers
syncd for merges and diffs.
"""
