"""Plain sentences about classifiers and taggers, from their metrics alone."""

from collections.abc import Mapping, Sequence
from typing import Any

_ENOUGH = 300  # test images from which the calibration error says something


def classification_verdicts(metrics: Mapping[str, Any]) -> list[str]:
    """What the metrics of a classifier mean, and what would help."""
    test = metrics["test"]
    sentences = [
        *_untested(metrics),
        *_accuracy(test, tested_on(metrics)),
        *suspected_verdict(**metrics["suspected_labels"]),
    ]
    if test["n"] >= _ENOUGH and test["calibration_error"] > 0.1:
        sentences.append(
            f"Its probabilities are off by {test['calibration_error']:.0%} on average: trust the "
            "order they give more than their values."
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
    sentence = (
        f"Of {images}, {test['accuracy']:.1%} were put into the right category (95 % interval "
        f"{low:.0%} to {high:.0%}). Always naming the largest category would give "
        f"{test['majority']:.1%}."
    )
    if test["accuracy"] <= test["majority"]:
        return [
            sentence,
            "So nothing shows that the model has learnt anything of use. Check that the folders "
            "hold what their names say.",
        ]
    if low <= test["majority"]:
        return [sentence, "With so few test images, the difference may be chance."]
    return [sentence]


def tagging_verdicts(metrics: Mapping[str, Any]) -> list[str]:
    """What the metrics of a tagger mean."""
    test = metrics["test"]
    sentences = _untested(metrics)
    if test["n"]:
        interval = test.get("micro_f1_interval")
        uncertain = f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        sentences.append(
            f"On {tested_on(metrics)}, {test['precision']:.0%} of the given tags are right, and "
            f"{test['recall']:.0%} of the true tags are given: micro F1 {test['micro_f1']:.3f}"
            f"{uncertain}."
        )
    return sentences + suspected_verdict(**metrics["suspected_labels"])


def suspected_verdict(n: int, expected_wrong: float | None) -> list[str]:
    """How many suspected labels there are, and how many of them are expected to be wrong."""
    if not n:
        return []
    expected = (
        "" if expected_wrong is None else f"; about {expected_wrong:.0f} of them probably are"
    )
    return [f"{n} labels may be wrong{expected}: look at them on the page."]


def tested_on(metrics: Mapping[str, Any]) -> str:
    """How many test images there are, and whether training saw them, as far as is known."""
    known = not metrics["unknown_training_images"]
    seen = "that training never saw" if known else "that training may have seen"
    return f"{metrics['test']['n']} test images {seen}"


def _untested(metrics: Mapping[str, Any]) -> list[str]:
    sentences = []
    unknown: Sequence[str] = metrics["unknown_training_images"]
    if unknown:
        sentences.append(
            f"{' and '.join(unknown)} does not say which images it was trained on. If these are "
            "among them, the results look better than they are."
        )
    if not metrics["test"]["n"]:
        sentences.append(
            "No images were left to test on, so nobody knows how good the model is on new images: "
            "set fraction_for_test to 0.25, or evaluate it on images that it has not seen."
        )
    return sentences
