"""The folder: record files scanned, read, written and removed. Never knows that there is a server.

Everything happens relative to the descriptor of a directory that was opened without following a
symbolic link, so nothing outside the folder is read or written, whatever a path says.
"""
