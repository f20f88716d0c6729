"""Classifiers: one category an image, or several tags; training, measuring and using them."""
