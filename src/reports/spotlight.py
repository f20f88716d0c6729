"""Images with their figures in the Renumics Spotlight browser, on this computer alone."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import MissingExtra

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"


def show(
    files: Sequence[Path],
    columns: Mapping[str, Sequence[Any] | np.ndarray],
    *,
    label: str,
    prediction: str,
    embedding: np.ndarray | None = None,
    wait: bool = True,
) -> Any:
    """Serve a table of images on 127.0.0.1 and open it in the browser until its page is closed.

    The columns `label` and `prediction` hold what was given and what the model says: where they are
    words, the page begins with their confusion matrix; where they are numbers, with one plotted
    against the other. `embedding` (n, d) makes the map of similar images. Without `wait` no browser
    is opened, and the viewer is returned at once.
    """
    os.environ.setdefault("SPOTLIGHT_OPT_OUT", "true")  # it sends no usage figures
    try:
        from loguru import logger as its_logger

        its_logger.disable("renumics.spotlight")  # tells of every optional package it lacks
        from renumics import spotlight
    except ImportError:
        raise MissingExtra("renumics-spotlight", "mode 'spotlight'") from None
    import pandas as pd

    frame = pd.DataFrame({"image": [str(file.resolve()) for file in files]})
    for name, values in columns.items():
        words = len(values) > 0 and isinstance(values[0], str)
        frame[name] = pd.Categorical(list(values)) if words else np.asarray(values)
    types = {"image": "Image"}
    if embedding is not None:
        frame["embedding"] = list(np.asarray(embedding, np.float32))
        types["embedding"] = "Embedding"
    logger.info("Starting Spotlight; close its page or press Ctrl-C to continue.")
    viewer = spotlight.show(
        frame,
        host=HOST,
        layout=_layout(frame, label, prediction, embedding is not None),
        dtype=types,
        allow_filebrowsing=False,
        no_browser=not wait,
        wait=False,
        analyze=False,
    )
    if wait:
        try:
            viewer.close(wait=True)
        except KeyboardInterrupt:
            viewer.close()
    return viewer


def _layout(frame: Any, label: str, prediction: str, embedded: bool) -> Any:
    from renumics.spotlight import layout
    from renumics.spotlight.layout import lenses

    views: list[Any]
    if np.issubdtype(frame[label].to_numpy().dtype, np.number):
        views = [layout.scatterplot("Prediction", label, prediction)]
    else:
        views = [layout.confusion_matrix("Confusion matrix", label, prediction)]
    if embedded:
        views.append(layout.similaritymap("Similar images", ["embedding"], color_by_column=label))
    shown = [lenses.image("image"), lenses.scalar(label), lenses.scalar(prediction)]
    images = [layout.table(), layout.inspector("Inspector", shown, num_columns=4)]
    left, right = (
        layout.split(*map(layout.tab, column), orientation="vertical") for column in (images, views)
    )
    return layout.layout(layout.split(left, right, orientation="horizontal"))
