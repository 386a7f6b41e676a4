"""Level 0 to level 1, and the forms of a product as a file."""
