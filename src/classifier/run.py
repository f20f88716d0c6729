"""A classifier, from the settings to the lines for the user."""

from collections.abc import Iterator
from pathlib import Path

from src.classifier.results import columns, write_results
from src.classifier.target import Classes
from src.evaluation.verdicts import classification_verdicts
from src.image_models.run import last_lines, train_or_evaluate
from src.reports.model_card import write_classifier_card
from src.settings.classifier import ClassifierTraining
from src.settings.use_models import ClassifyImages


def run(settings: ClassifierTraining) -> Iterator[str]:
    """Train or evaluate, write what came out, and give the lines as they become known."""
    outcome = train_or_evaluate(settings, Classes(settings))
    if outcome is None:
        return
    (predictions,), results = outcome.predictions, Path(outcome.results)
    measured, test = {"evaluate", "spotlight"} & set(settings.mode), {}
    if measured:
        metrics = write_results(results, predictions, settings.evaluation_args)
        test = metrics["test"]
        yield from classification_verdicts(metrics)
    if settings.trains:
        write_classifier_card(outcome.model, "classes", predictions, test)
    yield from last_lines(settings, outcome.model, results if measured else None, ClassifyImages)
    if "spotlight" in settings.mode:
        from src.reports import spotlight

        data = predictions.data
        spotlight.show(
            [data.directory / path for path in data.paths],
            columns(predictions),
            label="label",
            prediction="predicted",
            embedding=predictions.images.features,
        )
