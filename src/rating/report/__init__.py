"""Statistics and advice."""
