"""Training a whole image model with transformers' Trainer: arguments, callbacks, going on."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.dataset.labelled import LabelledImages
from src.devices import choose_device
from src.errors import ModelError, SettingsError, first_line
from src.images.preprocess import Preprocessing
from src.settings.classifier import ClassifierTraining

logger = logging.getLogger(__name__)


class Objective(NamedTuple):
    """What is learnt and how it is measured."""

    # (model output, labels, num_items_in_batch=...) to a scalar: the sum over the batch divided by
    # num_items_in_batch, which counts labels over the steps accumulated
    loss: Callable[..., Any]
    metrics: Callable[[np.ndarray, Any], dict[str, float]]  # of logits and labels, by name
    describe: Callable[[dict[str, float]], str]  # those metrics in words


def fine_tune(
    model: Any,
    preprocessing: Preprocessing,
    train: LabelledImages,
    validation: LabelledImages | None,
    objective: Objective,
    settings: ClassifierTraining,
    checkpoints: Path,
    *,
    precision: str = "float32",
    more_follows: bool = False,
) -> Any:
    """Train a model in place; the best measured weights, or the last, are in it at the end.

    On a processor `precision` "bfloat16" is that of autocast, unless training_args say otherwise.
    Every process of a `torchrun` calls this alike; with `more_follows` they train together again.
    If the folder of `checkpoints` of this very run holds one, training goes on from there. Returns
    transformers' TrainerState. Ctrl-C ends in KeyboardInterrupt, after a checkpoint.
    """
    import torch
    from tqdm.contrib.logging import logging_redirect_tqdm
    from transformers import EarlyStoppingCallback, TrainerCallback

    from src.image_models.batches import PixelDataset, collate, with_margin
    from src.image_models.trainer import EpochLogger, ImageTrainer, KeepOnInterrupt

    def pixels(data: LabelledImages, sized: Preprocessing, *, exact: bool = True) -> PixelDataset:
        return PixelDataset(data.directory, data.paths, data.labels, sized, exact=exact)

    keep = KeepOnInterrupt()
    every = 1 if "eval_strategy" in settings.training_args.given else settings.eval_every_n_epochs
    callbacks: list[TrainerCallback] = [EpochLogger(objective.describe, every or 1), keep]
    if settings.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(settings.early_stopping_patience))
    larger = with_margin(preprocessing) if settings.augments else preprocessing
    trainer = ImageTrainer(
        settings,
        preprocessing,
        model=model,
        args=training_arguments(
            settings, checkpoints, measured=validation is not None, precision=precision
        ),
        callbacks=callbacks,
        data_collator=collate,
        train_dataset=pixels(train, larger, exact=not settings.augments),
        eval_dataset=validation and pixels(validation, preprocessing),
        compute_loss_func=objective.loss,
        compute_metrics=lambda found: objective.metrics(found.predictions, found.label_ids),
    )
    arguments = trainer.args
    checkpoint = _checkpoint(settings, Path(str(arguments.output_dir)))
    try:
        with keep.watching(trainer.accelerator), logging_redirect_tqdm():
            trainer.train(resume_from_checkpoint=checkpoint)
    except torch.OutOfMemoryError:
        raise ModelError(
            "the device has too little memory: lower per_device_train_batch_size (and raise "
            "gradient_accumulation_steps as much), or choose a smaller model"
        ) from None
    if keep.interrupted:
        logger.info("Saved in %s: run the same command again to resume.", arguments.output_dir)
        raise KeyboardInterrupt
    trainer.use_average()
    trainer.accelerator.wait_for_everyone()  # who is done removes checkpoints others still read
    if not more_follows:  # what ends here cannot be begun again: a second beginning hangs
        trainer.accelerator.end_training()
    return trainer.state


def training_arguments(
    settings: ClassifierTraining, checkpoints: Path, *, measured: bool, precision: str = "float32"
) -> Any:
    """TrainingArguments: all that the settings give, and our defaults for what they do not."""
    import torch
    from transformers import TrainingArguments

    given = settings.training_args.given
    on_cpu = choose_device(settings.device).type == "cpu"
    if settings.device.startswith("cuda:"):
        raise SettingsError(
            f"device {settings.device!r}: training a whole model takes all GPUs it can see; set "
            "the environment variable CUDA_VISIBLE_DEVICES instead, and device to 'auto'"
        )
    for name in ("eval_strategy", "load_best_model_at_end"):
        if not measured and given.get(name) not in (None, False, "no"):
            raise SettingsError(
                f"training_args.{name} needs validation images: raise fraction_for_validation"
            )
    ours = "epoch" if measured and settings.eval_every_n_epochs else "no"
    strategy = given.get("eval_strategy") or ours
    saving = given.get("save_strategy", "epoch" if strategy == "no" else strategy)
    defaults = {
        "output_dir": str(checkpoints),
        "eval_strategy": strategy,
        "save_strategy": saving,
        "logging_strategy": "epoch",
        "load_best_model_at_end": strategy != "no" and saving in (strategy, "best"),
        "save_total_limit": 1,
        "per_device_eval_batch_size": settings.evaluation_args.per_device_eval_batch_size,
        "use_cpu": on_cpu,
        "bf16": on_cpu and precision == "bfloat16" and not given.keys() & {"bf16", "fp16"},
        "disable_tqdm": not sys.stderr.isatty(),
        "dataloader_pin_memory": torch.cuda.is_available() and not on_cpu,
        "dataloader_persistent_workers": bool(given.get("dataloader_num_workers")),
        "restore_callback_states_from_checkpoint": bool(settings.early_stopping_patience),
    }
    try:
        return TrainingArguments(**(defaults | given))
    except (ValueError, TypeError, ImportError, NotImplementedError) as error:
        raise SettingsError(f"training_args: {first_line(error)}") from None


def _checkpoint(settings: ClassifierTraining, folder: Path) -> str | None:
    """Where to resume, if anywhere."""
    given = settings.training_args.given
    named = given.get("resume_from_checkpoint")
    if isinstance(named, str):
        if not (Path(named) / "trainer_state.json").is_file():
            raise SettingsError(
                f"training_args.resume_from_checkpoint: {named} is not a checkpoint"
            )
        return named
    # The state is written last: without it the checkpoint was interrupted itself.
    whole = [file.parent for file in folder.glob("checkpoint-*/trainer_state.json")]
    if not whole or not (named or (settings.resume and "output_dir" not in given)):
        return None
    last = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]))
    logger.info("Resuming from %s.", last)
    return str(last)
