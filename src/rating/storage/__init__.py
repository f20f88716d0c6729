"""What a folder keeps of its ratings."""
