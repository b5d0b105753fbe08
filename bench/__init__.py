"""What is measured, and what it is measured on. Not part of the installed package."""
