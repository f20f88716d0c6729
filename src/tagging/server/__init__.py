"""A small server for this computer alone: a page and a JSON endpoint that tag images."""
