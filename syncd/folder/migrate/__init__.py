"""Give files another form after a setting was changed."""
