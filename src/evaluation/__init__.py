"""Metrics and intervals: numbers in, numbers out."""
