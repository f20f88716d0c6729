"""Tagging, from the job to the model folder: train or measure, write, say what came out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from src.classifier.job import Job
from src.image_models.distributed import is_main
from src.tagging.job import TagOptions
from src.tagging.losses import MultilabelLoss
from src.tagging.results import Measuring, write_results
from src.tagging.tag_files import SidecarStyle
from src.tagging.train import measure_saved, train_all, train_head


def options_of(settings: Any) -> tuple[TagOptions, Measuring]:
    """What to train, and how it is measured, from the settings of custom_classifier_training."""
    options = TagOptions(
        source=settings.tag_source,
        style=SidecarStyle(settings.tag_files == "image1.txt", settings.tag_commas),
        min_count=settings.tag_min_count,
        tag_list=Path(settings.tag_list) if settings.tag_list else None,
        id_ranges=settings.split_by_id,
        loss=MultilabelLoss(
            settings.tag_loss,
            alpha=settings.focal_alpha,
            gamma=settings.focal_gamma,
            gamma_neg=settings.asl_gamma_neg,
            gamma_pos=settings.asl_gamma_pos,
            clip=settings.asl_clip,
        ),
        head_epochs=settings.tag_head_epochs,
        head_learning_rate=settings.tag_head_learning_rate,
        image_sizes=settings.image_sizes,
    )
    how = Measuring(
        scope=settings.threshold_scope,
        min_support=settings.threshold_min_support,
        ranks=settings.tag_ranks,
        images=min(settings.evaluation_args.report_images, _STRIP),
    )
    return options, how


def run_tags(job: Job, settings: Any) -> Iterator[str]:
    """Do the job; gives the lines for the user as they become known.

    Without "train" in the mode, `load_model` is measured. It may name several folders joined by
    "+": they are measured together, and `save_model` becomes their ensemble.

    Raises:
        DataError, ModelError, SettingsError, MissingExtra: as the parts it is made of.
    """
    options, how = options_of(settings)
    train = "train" in settings.mode or not settings.mode
    whole_model = settings.train_backbone
    if not is_main() and not (train and whole_model):
        return  # one process is enough
    folder, rows = job.save_model, list[dict[str, Any]]()
    several = [Path(part.strip()) for part in job.load_model.split("+")]
    if train and whole_model:
        trained = train_all(job, options)
        if trained is None:
            return
        answers = trained
    elif train:
        answers = train_head(job, options)
    elif len(several) > 1:
        from src.tagging.ensemble import combine

        answers, rows = combine(several, job, options, how)
    else:
        answers, folder = measure_saved(job, options), several[0]
    findings = write_results(folder, answers, options.style, how, compared=rows)
    figures = findings.figures
    yield f"{figures['tags']} tags, {figures['images'][figures['reported_on']]} images of the " + (
        f"{figures['reported_on']} part:"
    )
    yield from _table(rows or figures["slices"])
    if settings.export_onnx and train:
        from src.image_models.export_onnx import export_onnx

        difference = export_onnx(folder)
        yield f"Exported: {folder / 'model.onnx'} (probabilities differ by {difference:.1g})"
    yield f"Tags that are probably missing or wrong: {len(findings.errors)}, to look at in the page"
    yield f"Results: {folder / 'report.html'}"
    yield f"Model: {folder}"
    yield (
        f"Use it: python run.py tag_images --load_model={folder} --top_level_image_directory=FOLDER"
    )


_STRIP = 5  # images beside a tag, in one row of the page's table
_SHOWN = ("threshold", "f1_micro", "f2_micro", "map_micro", "f1_macro")


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Rows as lines of a table."""
    names = [f"{row['slice']}, {row['model']}" if "model" in row else row["slice"] for row in rows]
    width = max(map(len, names))
    yield f"  {'':{width}}  threshold     F1      F2      mAP   F1 macro"
    for name, row in zip(names, rows, strict=True):
        values = [row[key] for key in _SHOWN]
        yield f"  {name:{width}}  " + "  ".join(
            "     –" if value is None else f"{value:6.4f}" for value in values
        )
