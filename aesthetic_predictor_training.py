"""Train, measure and save a model of your taste, from images with scores."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.files import evaluation_folder, replacing_together, warn_of_replacing
from src.script import run
from src.settings.aesthetic_training import AestheticTraining
from src.settings.rating import ABScorer
from src.settings.use_models import ScoreImages

if TYPE_CHECKING:
    from src.aesthetic.lineage import Ancestor, Start
    from src.aesthetic.rated_features import RatedFeatures
    from src.aesthetic.train import Fitted
    from src.dataset.scores import DataHolder
    from src.settings.mlp import Mlp

logger = logging.getLogger(__name__)


def main(settings: AestheticTraining) -> None:
    """Train a model and measure it, or measure one that is there."""
    (train if settings.trains else measure)(settings)


def train(settings: AestheticTraining) -> None:
    """Features, split, training, saving, figures and report."""
    from src.aesthetic.lineage import choose_start, previous_model, save_model
    from src.features import open_extractors

    folder, holder = Path(settings.save_model), ratings(settings)  # the images may be missing
    warn_of_replacing(folder, str(holder.directory.resolve()))
    how = settings.model_dump(include={"device", "precision", "hidden_states"})
    extractors = open_extractors(settings.extractor_names, **how)
    descriptions = [extractor.describe() for extractor in extractors]
    start = choose_start(
        load(settings, holder, extractors),
        settings.load_model,
        settings.base_model,
        descriptions,
        **settings.model_dump(include={"fraction_for_test", "test_pick_seed"}),
    )
    data, fitted = start.data, fit(settings, start, descriptions)
    previous = previous_model(folder, descriptions, data.binary)
    save_model(folder, fitted.predictor, start.trained_on, data)
    publish(settings, folder, folder, data, fitted, start.trained_on.unknown, previous)
    if fitted.interrupted:
        raise KeyboardInterrupt


def measure(settings: AestheticTraining) -> None:
    """Figures and report of a model on a folder, with the model's own extractors."""
    from src.aesthetic.choice_test import foretell_by
    from src.aesthetic.choices import read_choice_data
    from src.aesthetic.lineage import Ancestor
    from src.aesthetic.train import Fitted
    from src.scoring.scored import reopen_extractors

    holder, path = ratings(settings), Path(settings.load_model)
    model = Ancestor.load(path)
    how = {"device": settings.device, "precision": settings.precision}
    data = load(settings, holder, reopen_extractors(model.predictor, **how))
    seen = model.seen(data) | data.seen_by_features
    folder = evaluation_folder(path, holder.directory, settings.chosen_folder)
    data = replace(data, seen=seen, test=~seen)
    choices, scores = read_choice_data(data), model.predictor.predict(data.features)
    foretold = foretell_by(choices, scores, ~seen) if choices else None
    fitted = Fitted(model.predictor, foretold=foretold)
    publish(settings, folder, path, data, fitted, model.trained_on.unknown)


def ratings(settings: AestheticTraining) -> "DataHolder":
    """The rated images."""
    from src.dataset.keep_delete import read_ratings

    return read_ratings(
        Path(settings.top_level_image_directory),
        settings.use_score_file,
        binary=settings.loss_model == "bce",
        keep=settings.keep_folders,
        delete=settings.delete_folders,
    )


def load(settings: AestheticTraining, holder: "DataHolder", extractors: Any) -> "RatedFeatures":
    """The rated images with their features."""
    from src.aesthetic.rated_features import load_rated_features

    return load_rated_features(
        holder,
        extractors,
        store_folder=settings.feature_store,
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
        binary=settings.loss_model == "bce",
    )


def fit(settings: AestheticTraining, start: "Start", descriptions: list[Any]) -> "Fitted":
    """Search the settings if asked for, then train."""
    from src.aesthetic.train import fit_predictor

    head: str = settings.head
    mlp: Mlp = settings
    made_with = settings.made_with | {"scores_from": start.data.holder.source}
    if "meta" in settings.mode:
        from src.aesthetic.search.run import search_settings
        from src.reports import meta_report

        if (start.data.seen & start.data.train).any():  # inner folds would not be new to it
            start = start._replace(prior=start.afresh)
        found = search_settings(start.data, settings, start.prior)
        head, mlp = found.head, found.mlp
        made_with |= {"head": head, "loss_model": mlp.loss_model, "search": found.sentence}
        page = Path(settings.save_model) / meta_report.REPORT
        meta_report.write(page, found)
        logger.info("%s All of them: %s", found.sentence, page)
    return fit_predictor(
        start.data,
        head,
        extractors=descriptions,
        mlp=mlp,
        prior=start.prior,
        afresh=start.afresh,
        choices=start.choices,
        provenance=made_with,
    )


def publish(
    settings: AestheticTraining,
    folder: Path,
    model: Path,
    data: "RatedFeatures",
    fitted: "Fitted",
    unknown: tuple[str, ...],
    previous: "Ancestor | None" = None,
) -> None:
    """Measure, write figures and report into a folder, and say what they mean."""
    from src.aesthetic.evaluate import evaluate_scores
    from src.aesthetic.evaluate_labels import evaluate_labels
    from src.reports import aesthetic_report, keep_delete_report, model_card

    args = settings.evaluation_args
    evaluate = evaluate_labels if data.binary else evaluate_scores
    results = evaluate(data, fitted, args.bootstrap_samples, unknown, previous)
    report = keep_delete_report if data.binary else aesthetic_report
    with replacing_together(folder) as temporary:
        results.save(temporary)
        report.write_report(temporary / report.REPORT, results, images=args.report_images)
    if settings.trains:
        model_card.write_aesthetic_card(folder, fitted.predictor, results)
    for note in results.notes:
        logger.info(note)
    print(results.table)
    print(f"Saved {'the model and ' * settings.trains}the report: {folder / report.REPORT}")
    following = settings.command(ScoreImages, load_model=model)
    if not results.useful:
        print("This model is no better than a coin so far: give it more images, and train again.")
        following = settings.command(None if data.binary else ABScorer)
    print(f"Next: {following}")
    if "spotlight" in settings.mode:
        aesthetic_report.browse(results, data.features)


if __name__ == "__main__":
    run(main, AestheticTraining, __file__, sys.argv[1:])
