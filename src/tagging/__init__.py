"""Several tags an image."""
