"""Settings: arguments.py and the command line, checked once before anything heavy is imported."""

from src.settings.load import load_settings
from src.settings.scripts import AestheticTraining

__all__ = ["AestheticTraining", "load_settings"]
