"""Train, measure and save a model of your taste, from images with scores."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.script import run
from src.settings import AestheticTraining

if TYPE_CHECKING:
    from src.aesthetic.predictor import Predictor
    from src.aesthetic.rated_features import RatedFeatures
    from src.aesthetic.train import Fitted

logger = logging.getLogger(__name__)


def main(settings: AestheticTraining) -> None:
    """Features, then training or loading, then figures, files and the report."""
    from src.aesthetic.predictor import Predictor
    from src.aesthetic.rated_features import load_rated_features
    from src.aesthetic.saving import check_free
    from src.aesthetic.train import Fitted, check_extractors
    from src.dataset.keep_delete import labelled_images
    from src.dataset.scores import DataHolder
    from src.features import open_extractors
    from src.reports import aesthetic_report, keep_delete_report

    images, source = Path(settings.top_level_image_directory), settings.use_score_file
    if binary := settings.loss_model == "bce":
        holder = labelled_images(images, settings.keep_folders, settings.delete_folders, source)
    else:
        holder = DataHolder.from_folder(images, source)
    holder.report()
    loaded = Predictor.load(Path(settings.load_model)) if settings.load_model else None
    extractors = open_extractors(
        settings.extractor_names, device=settings.device, hidden_states=settings.hidden_states
    )
    descriptions = [extractor.describe() for extractor in extractors]
    if loaded is not None:
        check_extractors(loaded, descriptions)
    data = load_rated_features(
        holder,
        extractors,
        store_folder=Path(settings.feature_store) if settings.feature_store else None,
        fraction_for_test=settings.fraction_for_test,
        test_pick_seed=settings.test_pick_seed,
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
        binary=binary,
    )
    training = bool({"train", "meta"} & set(settings.mode)) or not settings.mode
    if training:
        fitted = train(settings, data, loaded, descriptions)
    else:
        assert loaded is not None  # the settings make sure of it
        check_free(Path(settings.save_model), Path(settings.load_model))
        fitted = Fitted(loaded)
    folder, args = Path(settings.save_model), settings.evaluation_args
    report = keep_delete_report if binary else aesthetic_report
    results, table = report.publish(
        folder, data, fitted, bootstrap=args.bootstrap_samples, images=args.report_images
    )
    print(table)
    print(f"Saved {'the model and ' if training else ''}the report: {folder / report.REPORT}")
    print(f"Next: python run.py score_images --load_model={folder} scores any folder of images")
    if "spotlight" in settings.mode:
        aesthetic_report.browse(results, data.features)
    if fitted.interrupted:
        raise KeyboardInterrupt


def train(
    settings: AestheticTraining,
    data: "RatedFeatures",
    loaded: "Predictor | None",
    descriptions: list[dict[str, object]],
) -> "Fitted":
    """Train as the settings say and save the model."""
    from src.aesthetic.mlp.fitting import MlpSettings
    from src.aesthetic.mlp.training_options import TrainingOptions
    from src.aesthetic.saving import choose_prior, previous_model, save_predictor
    from src.aesthetic.train import fit_predictor

    folder, head = Path(settings.save_model), str(settings.head)
    prior = loaded or choose_prior(settings.base_model, descriptions, Path("models"))
    made_with = settings.made_with
    mlp = MlpSettings(
        TrainingOptions.from_mapping(settings.training_args.model_dump()), **settings.mlp
    )
    if "meta" in settings.mode:
        from src.aesthetic.search.run import Plan, search_settings
        from src.reports import meta_report

        search = settings.meta_search, settings.meta_trials, settings.meta_storage
        found = search_settings(data, mlp, Plan(settings.meta_values, *search), prior)
        head, mlp = found.head, found.mlp
        made_with |= {"head": head, "loss_model": mlp.loss, "search": found.sentence}
        meta_report.write(folder / meta_report.REPORT, found)
        logger.info("%s All of them: %s", found.sentence, folder / meta_report.REPORT)
    fitted = fit_predictor(
        data,
        head,
        extractors=descriptions,
        mlp=mlp,
        prior=prior,
        seed=settings.training_args.seed,
        provenance=made_with | {"scores_from": data.holder.source},
    )
    for note in fitted.notes:
        logger.info(note)
    previous = previous_model(folder, descriptions, fitted.predictor.provenance)
    save_predictor(folder, fitted.predictor, data)
    return replace(fitted, previous=previous)


if __name__ == "__main__":
    run(main, AestheticTraining, __file__, sys.argv[1:])
