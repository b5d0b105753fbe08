"""The pages, and the programs that make their pictures and their site. No part of the package."""
