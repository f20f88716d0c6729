"""A model at work on any folder of images: scores, and what is done with them."""
