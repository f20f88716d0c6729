"""The settings of all scripts, so that a key of one is not called unknown by another."""

from src.settings.aesthetic_training import AestheticTraining
from src.settings.keys import ScriptSettings

SCRIPTS: tuple[type[ScriptSettings], ...] = (AestheticTraining,)
