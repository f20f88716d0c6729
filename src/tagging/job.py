"""What a training of the tagger starts from and ends in: options, images and parts, answers."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.classifier.job import Job
from src.dataset.parts import PART_NAMES, TEST, TRAIN
from src.errors import DataError
from src.tagging import data as tag_data
from src.tagging import selected_tags
from src.tagging.data import TaggedImages, split_parts
from src.tagging.losses import MultilabelLoss, frequency_weights
from src.tagging.tag_files import SidecarStyle

if TYPE_CHECKING:
    from scipy.sparse import csr_array

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TagOptions:
    """What tagging needs beside a `Job`.

    Attributes:
        source, style, min_count, tag_list: see `tag_data.load`.
        id_ranges: see `tag_data.split_parts`.
        loss: what is minimised; its weights are set from the training images if the job is
            `balanced`.
        head_epochs, head_learning_rate: for a head alone, in place of those in training_args,
            which are meant for whole models.
        image_sizes: sides in pixels that a whole model is trained at, one after the other; by
            default its own.
        find_errors: compute probabilities of images not trained on, for the search for wrong
            tags; only where the head alone is trained.
    """

    source: str = ""
    style: SidecarStyle = field(default_factory=SidecarStyle)
    min_count: int = 1
    tag_list: Path | None = None
    id_ranges: str = ""
    loss: MultilabelLoss = field(default_factory=MultilabelLoss)
    head_epochs: float = 30
    head_learning_rate: float = 1e-2
    image_sizes: Sequence[int] = ()
    find_errors: bool = True


@dataclass(frozen=True)
class TagAnswers:
    """A tagging model's answers on images whose tags are known.

    Attributes:
        data: the images.
        parts: TRAIN, VALIDATION or TEST for each, (n,) int8.
        groups: near duplicates share a number, (n,) int.
        probabilities: (n, k) float32.
        unseen: probabilities by models that did not learn the image's tags, (n, k) float32, NaN
            where there are none.
        history: what was logged in training.
        provenance: what the model was made with, for the report.
    """

    data: TaggedImages
    parts: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    unseen: np.ndarray
    history: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_images(job: Job, options: TagOptions) -> TaggedImages:
    """The tagged images; with `load_model` its tags, unless others are listed.

    Raises:
        DataError: see `tag_data.load`.
    """
    tag_list = options.tag_list
    if job.load_model and tag_list is None:
        known = Path(job.load_model) / selected_tags.FILE_NAME
        tag_list = known if known.is_file() else None
    data = tag_data.load(
        job.directory,
        source=options.source,
        style=options.style,
        min_count=options.min_count,
        tag_list=tag_list,
    )
    data.report()
    return data


def draw_parts(
    job: Job,
    options: TagOptions,
    data: TaggedImages,
    sha256s: list[bytes],
    groups: np.ndarray,
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8; says how many each has.

    Raises:
        DataError: nothing is left to train on.
        SettingsError: see `tag_data.split_parts`.
    """
    parts = split_parts(
        data,
        sha256s,
        groups,
        fraction_for_test=job.fraction_for_test,
        fraction_for_validation=job.fraction_for_validation,
        seed=job.seed,
        id_ranges=options.id_ranges,
    )
    sizes = ", ".join(f"{name} {np.sum(parts == part)}" for part, name in enumerate(PART_NAMES))
    logger.info("Parts: %s.", sizes)
    if (parts == TRAIN).sum() < 2 or not data.labels[parts == TRAIN].nnz:
        raise DataError(
            "no tagged images are left to train on: add images, or lower fraction_for_test"
        )
    if job.fraction_for_test and not (parts == TEST).any():
        logger.warning("No image is left to test on: all look alike.")
    return parts


def weighted_loss(job: Job, options: TagOptions, labels: "csr_array") -> MultilabelLoss:
    """The loss; if the job is balanced, weighted by the frequencies in these labels."""
    if not job.balanced:
        return options.loss
    return replace(options.loss, weights=frequency_weights(tag_counts(labels)))


def tag_counts(labels: "csr_array") -> np.ndarray:
    """How many images have each tag, (k,) int64."""
    return np.asarray(labels.sum(axis=0, dtype=np.int64)).ravel()


def checkpoints_of(
    job: Job, options: TagOptions, data: TaggedImages, parts: np.ndarray, start: str
) -> Path:
    """A folder that only a run with the same data and settings has."""
    recipe = job.recipe
    described = {
        "start": start,
        "tags": data.names,
        "paths": data.paths,
        "training_args": {
            key: value
            for key, value in recipe.training_args.items()
            if key != "resume_from_checkpoint"
        },
        "augmentation": repr(recipe.augmentation),
        "other": [recipe.eval_every_n_epochs, recipe.early_stopping_patience, recipe.ema_decay],
        "loss": repr(options.loss),
        "sizes": list(options.image_sizes),
        "balanced": job.balanced,
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for array in (data.labels.indices, data.labels.indptr, parts):
        digest.update(np.ascontiguousarray(array).tobytes())
    folder = job.save_model.with_name(f"{job.save_model.name}.checkpoints")
    return folder / digest.hexdigest()[:12]
