"""From choices to scores."""
