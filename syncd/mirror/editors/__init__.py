"""Serve editors: schemas of records made from lexicons, and the settings that name them."""
