"""What people type after a command: where their names count from."""
