"""What category classifiers and taggers share."""
