"""Commands about lexicons, one module for each group."""
