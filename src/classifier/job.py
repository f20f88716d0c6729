"""What a training of the classifier starts from: the job, its images and their parts."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.classes import CategorisedImages, check_counts, read_categories
from src.dataset.deduplicate import Cleaned
from src.dataset.parts import PART_NAMES, TEST, TRAIN, split_parts
from src.errors import DataError
from src.image_models.fine_tune import Recipe
from src.image_models.save import read_classes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to train on, from which model, and where the result goes.

    Attributes:
        directory: the image folder, with a folder for each category.
        base_model: where training starts, a hub name or a folder.
        load_model: a classifier of ours to go on from instead; "" for none.
        save_model: folder for the result.
        fraction_for_test, fraction_for_validation, seed: see `parts.split_parts`.
        balanced: let rare categories weigh as much as common ones.
        store: folder of the feature store; None keeps it beside the images.
        recipe: how to train; a head alone needs only batch_size and device of it.
    """

    directory: Path
    base_model: str
    load_model: str
    save_model: Path
    fraction_for_test: float
    fraction_for_validation: float
    seed: int
    balanced: bool
    store: Path | None
    recipe: Recipe

    @property
    def start(self) -> str:
        """The model that training starts from."""
        return self.load_model or self.base_model


def read_images(job: Job) -> CategorisedImages:
    """The images of the job's categories; those of `load_model` come first.

    Raises:
        DataError: there are fewer than two categories, or one of a single image.
    """
    known = read_classes(Path(job.load_model)) if job.load_model else ()
    data = read_categories(job.directory, known)
    counts = ", ".join(
        f"{name} {count}" for name, count in zip(data.classes[:20], data.counts, strict=False)
    )
    more = f" and {len(data.classes) - 20} more" if len(data.classes) > 20 else ""
    check_counts(data)
    logger.info("%d images in %d categories: %s%s", len(data), len(data.classes), counts, more)
    return data


def draw_parts(
    job: Job, cleaned: Cleaned, sha256s: list[bytes], *, fraction_for_validation: float
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8.

    Raises:
        DataError: a category has nothing left to train on.
    """
    data = cleaned.data
    parts = split_parts(
        sha256s,
        cleaned.groups,
        data.labels,
        fraction_for_test=job.fraction_for_test,
        fraction_for_validation=fraction_for_validation,
        seed=job.seed,
    )
    sizes = ", ".join(f"{name} {np.sum(parts == part)}" for part, name in enumerate(PART_NAMES))
    logger.info("Parts: %s.", sizes)
    trained = np.bincount(data.labels[parts == TRAIN], minlength=len(data.classes))
    lacking = [name for name, count in zip(data.classes, trained, strict=True) if not count]
    if lacking:
        raise DataError(
            f"no image is left to train on in: {', '.join(lacking[:5])}. Add images, or lower "
            "fraction_for_test"
        )
    if job.fraction_for_test:
        tested = np.bincount(data.labels[parts == TEST], minlength=len(data.classes))
        lacking = [name for name, count in zip(data.classes, tested, strict=True) if not count]
        if lacking:
            logger.warning(
                "No image is left to test on, since all look alike, in: %s", ", ".join(lacking[:5])
            )
    return parts


def run_name(job: Job, data: CategorisedImages, parts: np.ndarray, start: str) -> str:
    """A short name that only a run with the same data and settings has."""
    recipe = job.recipe
    free = {"training_args", "batch_size", "resume", "device"}  # these may change on the way
    described = {
        "start": start,
        "classes": data.classes,
        "images": list(zip(data.paths, data.labels.tolist(), parts.tolist(), strict=True)),
        "training_args": {
            key: value
            for key, value in recipe.training_args.items()
            if key != "resume_from_checkpoint"
        },
        "recipe": {name: repr(value) for name, value in vars(recipe).items() if name not in free},
        "balanced": job.balanced,
    }
    text = json.dumps(described, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def provenance(job: Job, trained: str, **details: Any) -> dict[str, Any]:
    """What a model was made with, for its report and metrics.json."""
    import torch
    import transformers

    return {
        "model": job.start,
        "trained": trained,
        **details,
        "fraction_for_test": job.fraction_for_test,
        "test_pick_seed": job.seed,
        "weight_category_loss": job.balanced,
        "versions": f"torch {torch.__version__}, transformers {transformers.__version__}",
    }
