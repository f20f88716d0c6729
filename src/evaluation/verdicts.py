"""From figures to plain sentences: what they mean for the person, and what would help.

Numbers in, sentences out. Nothing is said here that was not measured.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from src.evaluation.proportion import FEWEST_REPEATS, Proportion, ceiling
from src.text import counted

Interval = Sequence[float]
Level = Literal["unknown", "chance", "uncertain", "clear"]

FEWEST_CHOICES = 10
"""choices below which nothing is said of how many are foretold"""
_WIDE = 0.12  # of a proportion: an uncertain figure
_LEVEL = 0.01  # of AB for each doubling of the images: as good as none
_CALIBRATED = 300  # test images from which the calibration error says something

NO_PROBABILITIES = (
    "Too few images to give probabilities: only their order is known. Add images of both kinds."
)
JUDGED_BY_HEART = (
    "Every image was seen in training, so the cuts, plots and suspected labels come from a model "
    "that may have memorised the labels."
)


class CurvePoint(NamedTuple):
    """AB on left-out images after fitting on some of the others."""

    images: int  # fitted on
    ab: float  # mean over folds and draws
    error: float  # standard error of that mean


def level(value: float | None, interval: Interval | None) -> Level:
    """How a proportion with its 95% interval compares with tossing a coin."""
    if value is None:
        return "unknown"
    low, high = interval or (value, value)
    if low <= 0.5:
        return "chance"
    return "uncertain" if high - low > _WIDE else "clear"


def ordering(ab: float | None, interval: Interval | None, images: int) -> str:
    """How well pairs of test images are ordered, and how sure that is."""
    if ab is None:
        return (
            "The test images all have the same score, so there is no telling how good the model is."
        )
    low, high = interval or (ab, ab)
    sure = level(ab, interval)
    if sure == "chance":
        return (
            f"No better than a coin so far: the model orders {ab:.0%} ({low:.0%} to {high:.0%}) of "
            f"the pairs of {counted(images, 'test image')} as you do. Rate more images before you "
            "use it."
        )
    said = (
        f"Shown two images that it has never seen, the model agrees with your scores on {ab:.0%} "
        f"of the pairs ({low:.0%} to {high:.0%}); tossing a coin would give 50%."
    )
    more = (
        f" With {counted(images, 'test image')} this is uncertain: rate more images to know better."
    )
    return said + more if sure == "uncertain" else said


def keeping(auc: float | None, interval: Interval | None, images: int) -> str:
    """How well kept and deleted test images are told apart."""
    if auc is None:
        return "The test images are all of one kind, so there is no telling how good the model is."
    low, high = interval or (auc, auc)
    often = f"in {auc:.0%} of the cases ({low:.0%} to {high:.0%}"
    if level(auc, interval) == "chance":
        return (
            "No better than a coin so far: of a kept and a deleted test image it prefers the kept "
            f"one {often}, {counted(images, 'test image')}). Label more images before you use it."
        )
    return (
        "Shown a kept and a deleted image that it has never seen, the model prefers the kept one "
        f"{often}); tossing a coin would give 50%."
    )


OWN_SCORES = (
    "The model was trained on all rated images; the test is your choices, each predicted by a fit "
    "that knew neither the choice nor its images. Agreement with the scores of the rating window "
    "would flatter the model, since these are partly made from the same features."
)

STAND_IN = (
    "These fits use the kernel head, because the small networks would take minutes: the figures on "
    "choices are the kernel's."
)


def choices(said: Proportion, kind: str) -> str:
    """How many choices of a kind, such as "random pairs", are foretold."""
    if said.value is None or said.trials < FEWEST_CHOICES:
        return f"Too few choices between {kind} to tell how many the model predicts."
    low, high = said.interval
    chance = level(said.value, said.interval) == "chance"
    sure = "No better than a coin so far, or too few to tell:" if chance else "On unseen images,"
    share = f"{said.value:.0%} ({low:.0%} to {high:.0%}) of your {counted(said.trials, 'choice')}"
    return f"{sure} the model predicts {share} between {kind}."


def picked(said: Proportion) -> list[str]:
    """The same of pairs that were picked because they were hard to predict."""
    if said.value is None or said.trials < FEWEST_CHOICES:
        return []
    low, high = said.interval
    return [
        f"Of {counted(said.trials, 'choice')} between pairs that were picked because they are "
        f"hard, it predicts {said.value:.0%} ({low:.0%} to {high:.0%})."
    ]


def choices_left_out(number: int) -> str:
    return f"Not counted: {counted(number, 'choice')} between images from an earlier training."


def no_test(*, seen: int, images: int) -> str:
    """Why there is no figure on new images: how many of all images an ancestor has seen."""
    if seen == images:
        return (
            "No figure on new images: the model was trained on all of these, itself or through a "
            "model that it builds on. Add or rate new images to test on, or see the report of its "
            "own training."
        )
    if seen:
        return (
            f"No figure on new images: {seen:,} of {images:,} were seen by a model that this one "
            "builds on, and the others are too few. Add or rate new images to test on, or train "
            "without load_model."
        )
    return (
        "No images were kept for testing, so there is no telling how good the model is on new "
        "images: set fraction_for_test to 0.25 to find out."
    )


def unknown_ancestors(names: Sequence[str]) -> list[str]:
    """What cannot be known of models that do not keep what they have seen."""
    return [
        f"{name} was trained on other people's ratings; these pictures may have been among them."
        if name.endswith((".safetensors", ".pth"))
        else f"The model {name} comes from a version that did not record which images a model has "
        "seen, so its own split of this folder is used. Train it again for reliable figures."
        for name in names
    ]


def started_afresh(seen: int) -> str:
    return (
        f"The model to start from was trained on {seen:,} of these images, so its scores for them "
        "prove nothing: this model learns from all images afresh."
    )


def corrected_by_new_images(new: int) -> str:
    return (
        f"The model to start from is corrected with {counted(new, 'training image')} new to it; "
        "that orders them better than learning from all images afresh."
    )


def only_unseen(images: int) -> str:
    return (
        f"Cuts, plots and suspected labels cover only {counted(images, 'image')}: those that the "
        "model was not trained on."
    )


def learning(curve: Sequence[CurvePoint], measure: str = "AB") -> list[str]:
    """Whether more rated images would help, by the last points of the learning curve."""
    last = curve[-3:]
    if len(last) < 2:
        return []
    weights = 1 / np.maximum([point.error for point in last], 1e-4)
    doublings, accuracies = np.log2([point.images for point in last]), [p.ab for p in last]
    line, variance = np.polyfit(doublings, accuracies, 1, w=weights, cov="unscaled")
    gain, half = float(line[0]), 1.96 * float(variance[0, 0]) ** 0.5
    said = (
        f"In cross-validation, {measure} (pairs ordered right) went from {last[0].ab:.1%} with "
        f"{counted(last[0].images, 'rated image')} to {last[-1].ab:.1%} with {last[-1].images:,}"
    )
    if gain - half > 0:
        more = "rating more images would still help"
    elif gain + half < _LEVEL:
        more = "rating more images like these would hardly help"
    else:
        more = "it is not yet clear whether more would help"
    ends = f"{100 * (gain - half):+.1f} to {100 * (gain + half):+.1f}"
    return [f"{said} ({100 * gain:+.1f} points for each doubling, {ends}): {more}."]


def consistency(repeats: Proportion) -> list[str]:
    """How alike a person answers repeated pairs, and the most that a model can predict."""
    if repeats.trials < FEWEST_REPEATS:
        return []
    pairs = counted(repeats.trials, "repeated pair")
    said = f"You answered {repeats.successes} of {pairs} the same way"
    most = ceiling(repeats)
    if most is None or most[2] <= 0.5:
        return [f"{said}, no more than by chance."]
    best, low, high = most
    return [
        f"{said}. No model can predict more than about {best:.0%} of your choices "
        f"({low:.0%} to {high:.0%})."
    ]


def compared(before: float, now: float, difference: Interval, images: int) -> str:
    """This model beside the one that it replaces, on test images that neither has seen."""
    low, high = difference
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return (
        f"On {counted(images, 'test image')} that neither has seen, the previous model in this "
        f"folder orders {before:.1%} of the pairs as you do, this one {now:.1%}: {verdict} "
        f"(difference {100 * low:+.1f} to {100 * high:+.1f} points)."
    )


def suspected(n: int, expected_wrong: float | None) -> list[str]:
    """How many labels are worth a look, and how many of them are expected to be wrong."""
    if not n:
        return []
    labels = counted(n, "label")
    if expected_wrong is None:
        return [f"{labels} may be wrong: decide on the page suspects.html."]
    number = round(expected_wrong)
    if not number:
        shown = f"; the page suspects.html shows {'it' if n == 1 else 'them'}"
        return [f"The model disagrees with {labels}, but probably none is wrong{shown}."]
    wrong = f"about {number:,} of them {'is' if number == 1 else 'are'} probably wrong"
    return [f"The model disagrees with {labels}; {wrong}: decide on the page suspects.html."]


_HEADS = {
    "networks": "the small networks are",
    "kernel": "the kernel is",
    "ridge": "ridge regression is",
    "logistic": "logistic regression is",
}


def head_chosen(chosen: str, accuracies: Mapping[str, float], clearly_worse: Sequence[str]) -> str:
    """Which head `auto` took, and how it compares in cross-validation.

    `accuracies`: AB of each candidate, empty where the images were too few, or their scores too
    much alike, to compare; `clearly_worse`: those whose difference is beyond chance.
    """
    used = f"{_HEADS.get(chosen, f'{chosen} is')} used"
    if not accuracies:
        return f"Too few images, or too few different scores, to compare methods: {used}."
    ordered = sorted(accuracies.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in ordered)
    level = len(accuracies) - len(clearly_worse)
    verdict = f"{used[0].upper()}{used[1:]}: clearly the best"
    if level > 1:
        verdict = f"No clear difference between the {level} best methods; {used}"
    return f"{verdict} (pairs of left-out images ordered right: {shown})."


def classification_verdicts(metrics: Mapping[str, Any]) -> list[str]:
    """What the metrics of a classifier mean, and what would help."""
    test = metrics["test"]
    sentences = [
        *_untested(metrics),
        *_accuracy(test, _tested_on(metrics)),
        *suspected(**metrics["suspected_labels"]),
    ]
    if test["n"] >= _CALIBRATED and test["calibration_error"] > 0.1:
        sentences.append(
            f"Its probabilities are off by {test['calibration_error']:.0%} on average: trust their "
            "order more than their values."
        )
    weak = [row["name"] for row in test["per_class"] if (row["recall"] or 0) < 0.5 and row["n"]]
    if weak:
        sentences.append(
            f"It misses more than half of the test images of: {', '.join(weak[:5])}. More images "
            "of these would probably help."
        )
    return sentences


def _accuracy(test: Mapping[str, Any], images: str) -> list[str]:
    if not test["n"]:
        return []
    low, high = test["accuracy_interval"]
    sentences = [
        f"Of {images}, {test['accuracy']:.1%} were put into the right category (95% interval "
        f"{low:.0%} to {high:.0%}). Always naming the largest category would give "
        f"{test['majority']:.1%}."
    ]
    if test["accuracy"] <= test["majority"]:
        sentences.append(
            "So there is no sign that the model has learnt anything useful. Check that the folders "
            "hold what their names say."
        )
    elif low <= test["majority"]:
        sentences.append("With so few test images, the difference may be due to chance.")
    return sentences


def tagging_verdicts(metrics: Mapping[str, Any]) -> list[str]:
    """What the metrics of a tagger mean."""
    test = metrics["test"]
    sentences = _untested(metrics)
    if test["n"]:
        interval = test.get("micro_f1_interval")
        uncertain = f" (95% interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        sentences.append(
            f"On {_tested_on(metrics)}, {test['precision']:.0%} of the given tags are right, and "
            f"{test['recall']:.0%} of the true tags are given: micro F1 {test['micro_f1']:.3f}"
            f"{uncertain}."
        )
    return sentences + suspected(**metrics["suspected_labels"])


def _tested_on(metrics: Mapping[str, Any]) -> str:
    known = not metrics["unknown_training_images"]
    seen = "that training never saw" if known else "that training may have seen"
    return f"{counted(metrics['test']['n'], 'test image')} {seen}"


def _untested(metrics: Mapping[str, Any]) -> list[str]:
    sentences = []
    unknown: Sequence[str] = metrics["unknown_training_images"]
    if unknown:
        sentences.append(
            f"{' and '.join(unknown)} does not say which images it was trained on. If these are "
            "among them, the results are too good to be true."
        )
    if not metrics["test"]["n"]:
        sentences.append(
            "No images were left to test on, so there is no telling how good the model is on new "
            "images: set fraction_for_test to 0.25, or evaluate it on images that it has not seen."
        )
    return sentences
