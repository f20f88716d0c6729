"""Train, measure and save a model of your taste, from images with scores."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.script import run
from src.settings import AestheticTraining

if TYPE_CHECKING:
    from src.aesthetic.dataset import RatedFeatures
    from src.aesthetic.fitting import Fitted
    from src.aesthetic.predictor import Predictor

logger = logging.getLogger(__name__)


def main(settings: AestheticTraining) -> None:
    """Features, then training or loading, then figures, files and the report."""
    from src.aesthetic.dataset import load_rated_features
    from src.aesthetic.fitting import Fitted, check_extractors
    from src.aesthetic.predictor import Predictor
    from src.aesthetic.saving import check_free
    from src.data_holder import DataHolder
    from src.features import open_extractors
    from src.reports.aesthetic_report import REPORT, browse, publish

    holder = DataHolder.from_folder(
        Path(settings.top_level_image_directory), settings.use_score_file
    )
    holder.report()
    loaded = Predictor.load(Path(settings.load_model)) if settings.load_model else None
    extractors = open_extractors(
        settings.feature_extractor, device=settings.device, hidden_states=settings.hidden_states
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
    )
    training = "train" in settings.mode or not settings.mode
    if training:
        fitted = train(settings, data, loaded, descriptions)
    else:
        assert loaded is not None  # the settings make sure of it
        check_free(Path(settings.save_model), Path(settings.load_model))
        fitted = Fitted(loaded)
    folder = Path(settings.save_model)
    results, table = publish(
        folder,
        data,
        fitted,
        bootstrap=settings.evaluation_args.bootstrap_samples,
        images=settings.evaluation_args.report_images,
    )
    print(table)
    print(f"Saved {'the model and ' if training else ''}the report: {folder / REPORT}")
    print("Next: python run.py aesthetic_score_from_model gives unrated images this model's score")
    if "spotlight" in settings.mode:
        browse(results, data.features)
    if fitted.interrupted:
        raise KeyboardInterrupt


def train(
    settings: AestheticTraining,
    data: "RatedFeatures",
    loaded: "Predictor | None",
    descriptions: list[dict[str, object]],
) -> "Fitted":
    """Train as the settings say and save the model."""
    from src.aesthetic.choices import training_choices
    from src.aesthetic.fitting import MlpSettings, fit_predictor
    from src.aesthetic.saving import choose_prior, save_predictor
    from src.aesthetic.training_options import TrainingOptions

    holder = data.holder
    choices = (
        training_choices(holder.directory, holder.paths, data.train)
        if settings.head == "pairwise"
        else None
    )
    fitted = fit_predictor(
        data,
        settings.head,
        extractors=descriptions,
        mlp=MlpSettings(
            TrainingOptions.from_mapping(settings.training_args.model_dump()),
            settings.loss_model,
            settings.aesthetic_model_dropouts,
            settings.aesthetic_model_relu,
            settings.eval_every_n_epochs,
            settings.device,
        ),
        choices=choices,
        prior=loaded or choose_prior(settings.base_model, descriptions, Path("models")),
        seed=settings.training_args.seed,
        provenance={
            "feature extractor": settings.feature_extractor,
            "hidden states": str(list(settings.hidden_states)),
            "head": settings.head,
            "scores from": data.holder.source,
            "test_pick_seed": str(settings.test_pick_seed),
        },
    )
    for note in fitted.notes:
        logger.info(note)
    save_predictor(Path(settings.save_model), fitted.predictor, data)
    return fitted


if __name__ == "__main__":
    run(main, AestheticTraining, __file__, sys.argv[1:])
