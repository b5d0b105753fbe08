"""How the file of a record is written, and that nothing outside knows which form it has."""
