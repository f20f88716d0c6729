"""Training the mlp head."""
