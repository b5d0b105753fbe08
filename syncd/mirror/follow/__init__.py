"""Bring the files of a mirror in line with settings that were changed."""
