"""People with a folder, each at the speed and depth that a question needs: see README.md."""
