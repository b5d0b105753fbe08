"""What a server says of itself: where it is, and how fast it may be asked. Imports little."""
