"""What builds the site of the documents."""
