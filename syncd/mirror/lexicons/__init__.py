"""Lexicons of a folder, whether it is a mirror or not: check files, resolve, serve editors."""
