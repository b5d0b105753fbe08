"""What a person decides about a mirror, as a library: open it by its folder, ask, decide, act.

The command line parses, prints and chooses exit codes; all that its verbs decide and do is here.
Nothing here prints, reads a terminal or ends a process. Notices go to whoever listens.

    from syncd.mirror.conflicts import choose_conflicts, open_conflicts, take_side
    from syncd.mirror.offline import open_files

    with open_files(Path("~/notes").expanduser()) as workspace:
        for conflict in open_conflicts(workspace):
            print(conflict.path, conflict.reason)
        take_side(workspace, choose_conflicts(workspace, ["com.example.*/*"]), Choice.LOCAL)

A decision is noted with the contents that it is about. The next cycle carries it out, in the
process that runs it: `online.open_mirror` and `Mirror.sync`, `syncd sync`, or a running daemon.

Each verb is imported from its own module, so that a program loads no more than it uses: offline.py
opens what lies on this disk, and only online.py needs a network.
"""
