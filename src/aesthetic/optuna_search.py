"""Searching the training settings within ranges, with Optuna.

As in `meta_search`, trials are judged on inner folds of the training images.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.aesthetic.meta_search import (
    Progress,
    SearchResult,
    Stopped,
    Values,
    default_workers,
    open_table,
    present,
    score_fold,
)
from src.aesthetic.meta_table import MetaTable
from src.aesthetic.trials import OPTION_OF, InnerFolds, Score, Trial
from src.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import optuna


def optuna_search(
    images: InnerFolds,
    base: Trial,
    values: Values,
    path: Path,
    *,
    trials: int,
    storage: str | None = None,
    study_name: str = "aesthetic",
    workers: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> SearchResult:
    """Let Optuna look for the best setting within ranges, giving up early on poor ones.

    Args:
        images: the training images in folds.
        base: what is the same in all trials.
        values: by name, a list whose least and greatest number bound a range, or words to choose
            from. A range over a factor of ten or more is searched on a logarithmic scale.
        path: of meta.txt, which gets a row for each trial of this machine.
        trials: of the whole study, those of earlier runs and other machines included.
        storage: a database URL, such as sqlite:///study.db, that several machines may share;
            None keeps the study in memory.
        study_name: of the study within the storage.
        workers: trials at a time; None for one per processor core.
        seed: of the sampler.
        progress: called with trials done and in total.

    Raises:
        MissingExtra: Optuna is not installed.
        ModelError: every trial diverged.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "meta_search 'optuna'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lists = {name: list(given) for name, given in values.items()}
    table = open_table(path, images, base, {**dict.fromkeys(OPTION_OF), **lists})
    study = optuna.create_study(
        direction="maximize",
        storage=storage,
        study_name=study_name,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    stop = threading.Event()

    def objective(attempt: "optuna.Trial") -> float:
        setting = {name: present(base, name) for name in OPTION_OF}
        setting |= {name: _suggest(attempt, name, given, base) for name, given in lists.items()}
        trial = base.with_setting(setting)
        scores: list[Score] = []
        for fold in range(images.folds):
            scores.append(score_fold(images, trial, fold, stop))
            attempt.report(Score.mean(scores).ab, fold)
            if not scores[-1].measured or (fold + 1 < images.folds and attempt.should_prune()):
                raise optuna.TrialPruned
        score = Score.mean(scores)
        table.append(setting, score)
        attempt.set_user_attr("train_loss", score.train_loss)
        attempt.set_user_attr("eval_loss", score.eval_loss)
        return score.ab

    def count(study: "optuna.Study") -> int:
        return sum(t.state.is_finished() for t in study.get_trials(deepcopy=False))

    def after(study: "optuna.Study", _: object) -> None:
        if progress:
            progress(min(count(study), trials), trials)
        if count(study) >= trials:
            study.stop()

    interrupted = False
    try:
        if count(study) < trials:
            study.optimize(
                objective,
                n_trials=trials - count(study),
                n_jobs=workers or default_workers(base.device),
                callbacks=[after],
                catch=(Stopped,),
            )
    except KeyboardInterrupt:
        interrupted = True
        stop.set()
    return _winner(study, base, table, interrupted)


def _suggest(attempt: "optuna.Trial", name: str, given: list[Any], base: Trial) -> Any:
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in given)
    if not numbers or len(set(given)) == 1:
        return attempt.suggest_categorical(name, given)
    low, high = min(given), max(given)
    if name == "batch" and base.loss == "ranking":  # even
        low, high = 2 * max(low // 2, 1), 2 * max(high // 2, 1)
        return attempt.suggest_int(name, low, high, step=2)
    wide = low > 0 and high / low >= 10
    if all(isinstance(value, int) for value in given):
        return attempt.suggest_int(name, low, high, log=wide)
    return attempt.suggest_float(name, low, high, log=wide)


def _winner(
    study: "optuna.Study", base: Trial, table: MetaTable, interrupted: bool
) -> SearchResult:
    try:
        best = study.best_trial
    except ValueError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise ModelError("training diverged in every trial: try lower learning rates") from None
    setting = {name: present(base, name) for name in OPTION_OF} | best.params
    score = Score(best.user_attrs["train_loss"], best.user_attrs["eval_loss"], best.value or 0.5)
    return SearchResult(setting, base.with_setting(setting), score, table.rows, interrupted)
