"""Settings: arguments.py and the command line, checked once before anything heavy is imported."""
