"""The real reference PDS, installed and run for the tests. Nothing here is part of syncd."""
