"""Settings of custom_classifier_training for tests: defaults on the processor, and no more."""

from typing import Any

from src.settings.classifier import ClassifierTraining

PLAIN_IMAGES = {"augment": "off"}


def training(**given: Any) -> ClassifierTraining:
    """Settings with these values; paths may be paths."""
    paths = ("top_level_image_directory", "base_model", "load_model", "save_model", "tag_list")
    texts = {key: str(value) for key, value in given.items() if key in paths}
    return ClassifierTraining.model_validate({"device": "cpu"} | given | texts)
