"""Packages of syncd and what they say of themselves. Never part of what is installed."""
