"""Scan, read, write and remove the record files of a folder. Never knows about a server.

Every call is relative to the descriptor of a directory, opened without following a symbolic link.
So no path, whatever it contains, can reach a file outside the folder.
"""
