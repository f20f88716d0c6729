"""Teach a computer one person's taste in images: the rooms that the top-level scripts share."""
