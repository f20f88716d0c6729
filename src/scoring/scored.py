"""A trained model on a folder of images: only images that are new or changed are computed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from src.aesthetic.predictor import Predictor
from src.errors import ModelError, SettingsError
from src.features import Engine, Extractor, compute_features, open_store
from src.features.registry import open_extractor
from src.images import ImageFile, scan_images
from src.scoring.light import is_light, open_light


@dataclass(frozen=True)
class Scored:
    """The images of a folder with what a model says of them; everything in the order of `paths`.

    `numbers` holds "score", in standard deviations of the training images, and where the model
    gives them: "probability" that a person would keep the image; "percentile" of the training
    images that score lower; "uncertainty", the standard deviation of a person's score around it.
    """

    directory: Path
    paths: list[str]  # relative to it, with forward slashes
    numbers: dict[str, np.ndarray]  # each (n,)
    sha256s: list[bytes]
    hashes: np.ndarray  # perceptual, (n, 32) uint8
    unreadable: dict[str, str]  # path -> why

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def scores(self) -> np.ndarray:
        return self.numbers["score"]

    def sorted(self, *, best_first: bool) -> Self:
        """By score; images of the same score by path."""
        sign = -1 if best_first else 1
        order = np.lexsort((np.array(self.paths), sign * self.scores))
        return replace(
            self,
            paths=[self.paths[i] for i in order],
            numbers={name: values[order] for name, values in self.numbers.items()},
            sha256s=[self.sha256s[i] for i in order],
            hashes=self.hashes[order],
        )


def open_model(
    load_model: str, device: str = "auto", precision: str = "auto"
) -> tuple[Predictor, list[Extractor]]:
    """The model in a folder, a light copy or the file of a published head, and its extractors."""
    if not load_model:
        raise SettingsError(
            "load_model is empty: name the folder of a model you trained, as in "
            "--load_model=models/my_model"
        )
    path = Path(load_model)
    predictor = Predictor.load(path)
    if is_light(path):
        return predictor, open_light(path, predictor)
    return predictor, reopen_extractors(predictor, device=device, precision=precision)


def reopen_extractors(
    predictor: Predictor, *, device: str = "auto", precision: str = "auto"
) -> list[Extractor]:
    """The extractors that a model was trained on, by what it says of them."""
    extractors = []
    for made_for in predictor.extractors:
        name = str(made_for.get("name", ""))
        chosen = tuple(int(index) for index in made_for.get("hidden_states", ()))
        how: Any = {"device": device, "precision": precision, "hidden_states": chosen}
        extractor = open_extractor(name, **how)
        # Published heads do not say which copy of CLIP they were made for.
        if made_for.get("identity") not in (None, extractor.identity):
            raise ModelError(
                f"the model was trained on features of another version of {name!r} than the one "
                "here: restore that version, or train the model again"
            )
        extractors.append(extractor)
    if not extractors:
        raise ModelError("the model does not say what its features are: train it again")
    return extractors


def score_folder(
    directory: Path,
    predictor: Predictor,
    extractors: Sequence[Extractor],
    *,
    files: Sequence[ImageFile] | None = None,
    store_folder: Path | str = "",
    batch_size: int = 32,
    engine: Engine | None = None,
) -> Scored:
    """Score every readable image of `files`, by default of those below the folder.

    Features are kept in `store_folder`, or beside the images.
    """
    files = scan_images(directory) if files is None else files
    with open_store(directory, store_folder) as store:
        table = compute_features(
            directory, files, extractors, store, batch_size=batch_size, engine=engine
        )
    scores = predictor.predict(table.vectors)
    numbers = {
        "score": scores,
        "probability": predictor.probability(scores),
        "percentile": predictor.percentile(scores),
        "uncertainty": predictor.predict_std(table.vectors),
    }
    known = {name: values for name, values in numbers.items() if values is not None}
    return Scored(
        directory, table.paths, known, table.sha256s, table.perceptual_hashes, table.unreadable
    )
