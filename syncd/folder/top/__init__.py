"""Where the top of a mirror is."""
