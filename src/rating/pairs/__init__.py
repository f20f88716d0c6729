"""Which pair to show next."""
