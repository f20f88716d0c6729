"""From a folder of rated images to features, scores and a split: where training starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.predictor import Predictor, prepared
from src.dataset.deduplicate import distinct
from src.dataset.duplicates import groups as duplicate_groups
from src.dataset.scores import DataHolder
from src.dataset.split import check_parts
from src.dataset.trained_on import FILE_NAME, TrainedOn
from src.features import Extractor, compute_features, open_store


@dataclass(frozen=True)
class RatedFeatures:
    holder: DataHolder  # the images and their scores, readable ones only
    features: np.ndarray  # (n, d) float32
    blocks: tuple[int, ...]  # how many of the d features each extractor gives
    sha256s: Sequence[bytes]  # content of each image, (n)
    hashes: np.ndarray  # their perceptual hashes, (n, 32) uint8
    groups: np.ndarray  # the group of duplicates that each image belongs to, (n,) int
    test: np.ndarray  # which images are kept back for testing, (n,) bool
    seen: np.ndarray  # which ones the model that training starts from has seen, (n,) bool
    seen_by_features: np.ndarray  # which ones an extractor was trained on, (n,) bool
    # What extractors were trained on that are models of this program:
    features_trained_on: TrainedOn = field(default_factory=TrainedOn)
    binary: bool = False  # the scores are labels, 1 for kept and 0 for deleted

    @property
    def train(self) -> np.ndarray:
        """Which images are trained on, (n,) bool."""
        return ~self.test

    @property
    def targets(self) -> FloatArray:
        """What heads learn, (n,): labels, or scores of mean 0 and deviation 1 over training."""
        if self.binary:
            return self.holder.scores
        known = self.holder.scores[self.train if self.train.any() else self.test]
        return np.asarray((self.holder.scores - known.mean()) / (float(known.std()) or 1.0))

    def inputs(self, start: Predictor | None) -> FloatArray:
        """The features (n, d) as a model that training starts from, if any, gives them its head."""
        return prepared(self.features, unit_length=start is not None and start.unit_length)

    def training_set(self, rows: np.ndarray, start: Predictor | None = None) -> TrainingSet:
        """Some of the images, by number or (n,) bool, with `inputs` for features."""
        parts = (self.inputs(start), self.targets, self.holder.weights, self.groups)
        return TrainingSet.of(*(part[rows] for part in parts))

    def trained_on(self) -> TrainedOn:
        """The training images, and what the extractors were trained on."""
        rows = np.flatnonzero(self.train).tolist()
        images = TrainedOn.of([self.sha256s[row] for row in rows], self.hashes[rows])
        return images | self.features_trained_on

    def test_mask(self, fraction: float, seed: int, seen: np.ndarray | None = None) -> np.ndarray:
        """Which images are kept back for testing, of those that are not seen, (n,) bool."""
        return self.holder.test_mask(
            self.sha256s,
            self.groups,
            fraction=fraction,
            seed=seed,
            strata=self.holder.scores if self.binary else None,
            seen=seen,
        )

    def split(self, fraction_for_test: float, test_pick_seed: int) -> Self:
        """Keep images back for testing, of those that no ancestor of the model has seen."""
        seen = self.seen | self.seen_by_features
        test = self.test_mask(fraction_for_test, test_pick_seed, seen)
        check_parts(test, fraction=fraction_for_test, seen=seen)
        return replace(self, test=test)


def load_rated_features(
    holder: DataHolder,
    extractors: Sequence[Extractor],
    *,
    store_folder: Path | str = "",
    batch_size: int = 32,
    binary: bool = False,
) -> RatedFeatures:
    """Compute the features that are not kept yet and find duplicates; nothing is held back yet.

    Features are kept beside the images, unless in `store_folder`. With `binary` labels copies are
    left out, images under both labels as well, and each label gives its share to the test images.
    """
    with open_store(holder.directory, store_folder) as store:
        table = compute_features(
            holder.directory, holder.files, extractors, store, batch_size=batch_size
        )
    holder = holder.only(table.paths)
    sha256s, hashes, vectors = table.sha256s, table.perceptual_hashes, table.vectors
    if binary:
        kept, _ = distinct(table.paths, sha256s, holder.scores)
        holder = holder.only([table.paths[index] for index in kept])
        sha256s = [sha256s[index] for index in kept]
        hashes, vectors = hashes[kept], vectors[kept]
    groups = duplicate_groups(sha256s, hashes)
    none = np.zeros(len(sha256s), dtype=bool)
    trained_on = TrainedOn()
    for extractor in extractors:  # such as a classifier of this program
        folder = Path(extractor.name.removeprefix("text:"))
        trained_on |= TrainedOn.load(folder) if (folder / FILE_NAME).is_file() else TrainedOn()
    seen = trained_on.seen(sha256s, hashes, groups)
    return RatedFeatures(
        holder, vectors, table.blocks, sha256s, hashes, groups, none, none, seen, trained_on, binary
    )
