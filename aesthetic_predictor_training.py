"""Train, measure and save a model of your taste, from images with scores."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.script import command, run
from src.settings import AestheticTraining

if TYPE_CHECKING:
    from src.aesthetic.lineage import Ancestor
    from src.aesthetic.rated_features import RatedFeatures
    from src.aesthetic.train import Fitted
    from src.dataset.scores import DataHolder
    from src.features import Extractor

logger = logging.getLogger(__name__)


def main(settings: AestheticTraining) -> None:
    """Train and measure a model, or measure one that is there."""
    if settings.trains:
        train(settings)
    else:
        measure(settings)


def train(settings: AestheticTraining) -> None:
    """Features, split, training, saving, then figures and the report."""
    from src.aesthetic.lineage import Ancestor, choose_prior, previous_model
    from src.aesthetic.saving import save_predictor
    from src.features import open_extractors

    loaded = Ancestor.load(Path(settings.load_model)) if settings.load_model else None
    extractors = open_extractors(
        settings.extractor_names, device=settings.device, hidden_states=settings.hidden_states
    )
    descriptions = [extractor.describe() for extractor in extractors]
    data = load(settings, read_ratings(settings), extractors)
    prior, afresh = loaded, None
    if loaded is None:
        prior = choose_prior(settings.base_model, descriptions, Path("models"))
    if prior is not None:
        data = replace(data, seen=prior.seen(data))
    data = data.split(settings.fraction_for_test, settings.test_pick_seed)
    if loaded is not None and (data.seen & data.train).any():
        afresh = choose_prior(settings.base_model, descriptions, Path("models"))
    ancestors = [model for model in (prior, afresh) if model is not None]
    fitted = fit(settings, data, prior, afresh, descriptions)
    folder = Path(settings.save_model)
    previous = previous_model(folder, descriptions, data.binary)
    trained_on = data.trained_on()
    for model in ancestors:
        trained_on |= model.trained_on
    save_predictor(folder, fitted.predictor, trained_on, data)
    publish(settings, folder, folder, data, fitted, trained_on.unknown, previous)
    if fitted.interrupted:
        raise KeyboardInterrupt


def measure(settings: AestheticTraining) -> None:
    """Figures and the report of a model on a folder, with the model's own extractors."""
    from src.aesthetic.lineage import Ancestor
    from src.aesthetic.saving import evaluation_folder
    from src.aesthetic.train import Fitted
    from src.scoring.scored import reopen_extractors

    path = Path(settings.load_model)
    model = Ancestor.load(path)
    extractors = reopen_extractors(model.predictor, device=settings.device)
    data = load(settings, read_ratings(settings), extractors)
    seen = model.seen(data) | data.seen_by_features
    data = replace(data, seen=seen, test=~seen)
    images, save = Path(settings.top_level_image_directory), Path(settings.save_model)
    folder = evaluation_folder(save, settings.saves_by_default, path, images)
    fitted = Fitted(model.predictor)
    publish(settings, folder, path, data, fitted, model.trained_on.unknown, None)


def read_ratings(settings: AestheticTraining) -> "DataHolder":
    """The images with their scores, or as kept and deleted."""
    from src.dataset.keep_delete import labelled_images
    from src.dataset.scores import DataHolder

    images, source = Path(settings.top_level_image_directory), settings.use_score_file
    if settings.loss_model == "bce":
        holder = labelled_images(images, settings.keep_folders, settings.delete_folders, source)
    else:
        holder = DataHolder.from_folder(images, source)
    holder.report()
    return holder


def load(
    settings: AestheticTraining, holder: "DataHolder", extractors: "list[Extractor]"
) -> "RatedFeatures":
    """The features of the rated images."""
    from src.aesthetic.rated_features import load_rated_features

    return load_rated_features(
        holder,
        extractors,
        store_folder=Path(settings.feature_store) if settings.feature_store else None,
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
        binary=settings.loss_model == "bce",
    )


def fit(
    settings: AestheticTraining,
    data: "RatedFeatures",
    prior: "Ancestor | None",
    afresh: "Ancestor | None",
    descriptions: list[dict[str, object]],
) -> "Fitted":
    """Search the settings if asked for, then train."""
    from src.aesthetic.mlp.fitting import MlpSettings
    from src.aesthetic.mlp.training_options import TrainingOptions
    from src.aesthetic.train import fit_predictor

    head, made_with = str(settings.head), settings.made_with
    mlp = MlpSettings(
        TrainingOptions.from_mapping(settings.training_args.model_dump()), **settings.mlp
    )
    if "meta" in settings.mode:
        from src.aesthetic.search.run import Plan, search_settings
        from src.reports import meta_report

        if (data.seen & data.train).any():  # inner folds would not be new to it
            prior = afresh
        search = settings.meta_search, settings.meta_trials, settings.meta_storage
        plan = Plan(settings.meta_values, *search)
        found = search_settings(data, mlp, plan, prior.predictor if prior else None)
        head, mlp = found.head, found.mlp
        made_with |= {"head": head, "loss_model": mlp.loss, "search": found.sentence}
        path = Path(settings.save_model) / meta_report.REPORT
        meta_report.write(path, found)
        logger.info("%s All of them: %s", found.sentence, path)
    return fit_predictor(
        data,
        head,
        extractors=descriptions,
        mlp=mlp,
        prior=prior.predictor if prior else None,
        afresh=afresh.predictor if afresh else None,
        seed=settings.training_args.seed,
        provenance=made_with | {"scores_from": data.holder.source},
    )


def publish(
    settings: AestheticTraining,
    folder: Path,
    model: Path,
    data: "RatedFeatures",
    fitted: "Fitted",
    unknown: tuple[str, ...],
    previous: "Ancestor | None",
) -> None:
    """Measure, write figures and report into a folder, and say what they mean."""
    from src.aesthetic.evaluate import Results, evaluate_scores
    from src.aesthetic.evaluate_labels import LabelResults, evaluate_labels
    from src.reports import aesthetic_report, keep_delete_report

    args = settings.evaluation_args
    results: Results | LabelResults
    if data.binary:
        results = evaluate_labels(data, fitted, args.bootstrap_samples, unknown, previous)
        page = folder / keep_delete_report.REPORT
        keep_delete_report.write_report(page, results, images=args.report_images)
    else:
        results = evaluate_scores(data, fitted, args.bootstrap_samples, unknown, previous)
        page = folder / aesthetic_report.REPORT
        aesthetic_report.write_report(page, results, images=args.report_images)
    results.save(folder, fitted, data)
    for note in results.notes:
        logger.info(note)
    print(results.table())
    print(f"Saved {'the model and ' if settings.trains else ''}the report: {page}")
    images = settings.top_level_image_directory
    if results.useful:
        print(
            f"Next: {command('score_images', load_model=model, top_level_image_directory=images)}"
        )
    else:
        print("Next: rate more images, then train again; the model is no better than a coin so far")
    if "spotlight" in settings.mode and isinstance(results, Results):
        aesthetic_report.browse(results, data.features)


if __name__ == "__main__":
    run(main, AestheticTraining, __file__, sys.argv[1:])
