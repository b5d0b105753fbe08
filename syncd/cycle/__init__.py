"""One cycle of one mirror: look, decide, object, act, remember. Never says when a cycle is due.

`Mirror` (mirror.py) runs the cycle, `look` brings the proven remote view, `sides` compares it with
the folder and base, `pull` carries changes into the folder and `push` into the repo.
"""
