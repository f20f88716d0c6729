"""Pages and pictures that show results: plots, HTML, thumbnails, Spotlight."""
