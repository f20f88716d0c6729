"""The rating window: draws pairs and forwards keys. Starts without torch and matplotlib."""
