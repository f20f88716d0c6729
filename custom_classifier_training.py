"""Train, measure and save a classifier of images, one folder for each category."""

import sys
from pathlib import Path
from typing import Any

from src.script import run
from src.settings import ClassifierTraining


def main(settings: ClassifierTraining) -> None:
    """Train (or open) a model, measure it, and show the results."""
    if settings.label_source == "tags":
        _tags(settings)
        return
    from src.classifier.measure import measure_saved
    from src.classifier.train import train_all, train_head
    from src.image_models.distributed import is_main

    job = _job(settings)
    training = "train" in settings.mode or not settings.mode
    if not is_main() and not (training and settings.train_backbone):
        return  # one process is enough
    if not training:
        measured = measure_saved(job)
    elif settings.train_backbone:
        trained = train_all(job)
        if trained is None:
            return
        measured = trained
    else:
        measured = train_head(job)
    folder = Path(settings.save_model if training else settings.load_model)
    _report(settings, folder, measured)


def _tags(settings: ClassifierTraining) -> None:
    """The same for images with several tags each."""
    from src.tagging.run import run_tags

    for line in run_tags(_job(settings), settings):
        print(line)


def _report(settings: ClassifierTraining, folder: Path, measured: Any) -> None:
    """Write and tell the results, and open Spotlight if that is asked for."""
    from src.classifier.results import write_results

    if "evaluate" in settings.mode or "spotlight" in settings.mode:
        options = settings.evaluation_args
        metrics = write_results(
            folder, measured, bootstrap=options.bootstrap_samples, images=options.report_images
        )
        from src.reports.classifier_report import describe

        for line in describe(metrics):
            print(line)
        print(f"Results: {folder / 'report.html'}")
    print(f"Model: {folder}")
    print(
        "Use it: python run.py classify_images "
        f"--load_model={folder} --top_level_image_directory=FOLDER"
    )
    if "spotlight" in settings.mode:
        from src.classifier.results import columns
        from src.reports import spotlight

        data = measured.data
        spotlight.show(
            [data.directory / path for path in data.paths],
            columns(measured),
            label="label",
            prediction="prediction",
            embedding=measured.features,
        )


def _job(settings: ClassifierTraining) -> Any:
    from src.classifier.job import Job
    from src.image_models.augment import Augmentation
    from src.image_models.fine_tune import Recipe

    return Job(
        directory=Path(settings.top_level_image_directory),
        base_model=settings.base,
        load_model=settings.load_model,
        save_model=Path(settings.save_model),
        fraction_for_test=settings.fraction_for_test,
        fraction_for_validation=settings.fraction_for_validation,
        seed=settings.test_pick_seed,
        balanced=settings.weight_category_loss,
        store=Path(settings.feature_store) if settings.feature_store else None,
        recipe=Recipe(
            training_args=settings.training_args.given,
            eval_every_n_epochs=settings.eval_every_n_epochs,
            early_stopping_patience=settings.early_stopping_patience,
            ema_decay=settings.ema_decay,
            freeze_batch_norm=settings.freeze_batch_norm,
            augmentation=Augmentation(
                flip=settings.augment_flip,
                crop=settings.augment_crop,
                rotation=settings.augment_rotation,
                colour=settings.augment_colour,
                cutout=settings.augment_cutout,
                mixup=settings.augment_mixup,
                cutmix=settings.augment_cutmix,
            ),
            batch_size=settings.evaluation_args.per_device_eval_batch_size,
            resume=settings.resume,
            device=settings.device,
        ),
    )


if __name__ == "__main__":
    run(main, ClassifierTraining, __file__, sys.argv[1:])
