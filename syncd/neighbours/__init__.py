"""Find the programs that work on a mirror's folder beside syncd, by the marks that they leave.

Never starts one, and never writes: what to do about them is for a person to decide.
"""
