"""Model files of ours and of others."""
