"""Teach a computer one person's taste in images: the packages that the scripts share."""
