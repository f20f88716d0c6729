"""Changes to files that are planned, applied and undone."""
