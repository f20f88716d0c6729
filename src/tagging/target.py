"""Any number of tags for each image as a target of training and evaluation."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset import duplicates
from src.dataset.deduplicate import Deduplicated
from src.dataset.labelled import LabelledImages, label_counts
from src.dataset.split import TEST, TRAIN, VALIDATION
from src.errors import DataError
from src.image_models.fine_tune import Objective
from src.image_models.head import LinearHead
from src.image_models.model import MULTI_LABEL
from src.image_models.save import finish_saving
from src.image_models.target import HeadFit, Images, Target
from src.settings.classifier import ClassifierTraining
from src.tagging import selected_tags
from src.tagging.head import fit_head
from src.tagging.losses import frequency_weights, tag_objective
from src.tagging.out_of_fold import out_of_fold
from src.tagging.selected_tags import write_selected_tags
from src.tagging.tagged_images import TaggedImages, read_tagged_images

logger = logging.getLogger(__name__)

_PRIOR_IMAGES = 2.0  # so many imagined images, half with the tag, temper the first guess


class Tags(Target):
    """Tags of a known model are in its selected_tags.csv."""

    problem_type = MULTI_LABEL

    def __init__(self, settings: ClassifierTraining) -> None:
        self._settings = settings

    def read(self, known: Path | None, *, only_known: bool = False) -> TaggedImages:
        """The tagged images; of a known model its tags, unless training names other ones."""
        named = self._settings.tag_list
        tag_list = Path(named) if named and not only_known else None
        if known and tag_list is None:
            finish_saving(known)
            own = known / selected_tags.FILE_NAME
            tag_list = own if own.is_file() or only_known else None
        return read_tagged_images(self._settings, tag_list)

    def deduplicate(
        self, data: LabelledImages, sha256s: Sequence[bytes], hashes: np.ndarray
    ) -> Deduplicated:
        """All images stay, since the tags of copies may complete each other."""
        return Deduplicated(data, np.arange(len(data)), duplicates.groups(sha256s, hashes))

    def check_parts(self, data: LabelledImages, parts: np.ndarray) -> None:
        train = parts == TRAIN
        if train.sum() < 2 or not data.labels[train].nnz:
            raise DataError(
                "no tagged images are left to train on: add images, or lower fraction_for_test"
            )
        if self._settings.fraction_for_test and not (parts == TEST).any():
            logger.warning(
                "No image is left to test on: all look alike, or were seen by load_model."
            )

    def start_head(self, layer: Any, labels: Any) -> None:
        """New tags begin with their frequency as probability, not one half.

        Lin et al., "Focal loss for dense object detection", 2017, section 3.3.
        """
        head = LinearHead.of(layer)
        count = label_counts(labels, labels.shape[1]) + _PRIOR_IMAGES / 2
        share = count / (labels.shape[0] + _PRIOR_IMAGES)
        new = ~head.weight.any(axis=1)
        bias = np.where(new, np.log(share / (1 - share)), head.bias).astype(np.float32)
        LinearHead(head.weight, bias).put_into(layer)

    def objective(self, labels: Any) -> Objective:
        counts = label_counts(labels, labels.shape[1])
        weighted = self._settings.weight_category_loss
        return tag_objective(self._settings, frequency_weights(counts) if weighted else None)

    def fit_head(self, start: LinearHead, images: Images, parts: np.ndarray) -> HeadFit:
        """By minibatches, from where the head is; the best epoch on the validation images."""
        train, held_out = parts == TRAIN, parts == VALIDATION
        features, labels = images.features, images.data.labels
        validation = (features[held_out], labels[held_out]) if held_out.any() else None
        learnt = features[train], labels[train]
        return fit_head(start, learnt, validation, self.objective(labels[train]), self._settings)

    def out_of_fold(self, images: Images) -> np.ndarray:
        """By ridge regression."""
        return out_of_fold(images.features, images.data.labels, images.groups)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return np.asarray(expit(logits), np.float32)

    def save(self, folder: Path, data: Any) -> None:
        write_selected_tags(folder / selected_tags.FILE_NAME, data.tags)
