"""Kept and deleted images: labels, the logistic head, figures, the report."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from src.aesthetic.evaluate_labels import evaluate_labels
from src.aesthetic.heads import fit_head
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import load_rated_features
from src.aesthetic.train import Fitted, fit_predictor
from src.dataset.deduplicate import distinct
from src.dataset.keep_delete import labelled_images
from src.dataset.suspected_labels import FILE_NAME, PAGE, read_suspected
from src.errors import DataError, ModelError
from src.evaluation.binary_metrics import cut_table, evaluate_binary, reliability
from src.features import open_extractors
from src.reports.keep_delete_report import write_report
from src.settings.mlp import Mlp, PredictorTrainingArgs
from tests.browser import faults
from tests.conftest import make_images

FOLDERS = (("keep", "accepted"), ("delete", "rejected"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 kept light images and 60 deleted dark ones, one of each under the wrong label."""
    root = tmp_path_factory.mktemp("labelled")
    paths = make_images(root / "new", 120, seed=3)
    paths.sort(key=lambda path: np.asarray(Image.open(path), float).mean())
    for name, part in (
        ("Rejected", [*paths[:59], paths[-1]]),
        ("keep", [*paths[81:-1], paths[59]]),
    ):
        (root / name / "sub").mkdir(parents=True)
        for path in part:
            shutil.move(path, root / name / "sub" / path.name)
    return root


def test_folders_of_any_case_are_labels_and_others_are_not_used(folder):
    holder = labelled_images(folder, *FOLDERS)
    assert dict(zip(*np.unique(holder.scores, return_counts=True), strict=True)) == {0: 60, 1: 39}
    assert all(
        (path[0] == "k") == score for path, score in zip(holder.paths, holder.scores, strict=True)
    )
    assert len(holder.unscored) == 21 and all(path[0] == "n" for path in holder.unscored)


def test_a_table_of_ones_and_zeros(tmp_path):
    names = [path.name for path in make_images(tmp_path / "a", 4)]
    rows = [f"a/{name},{index % 2}" for index, name in enumerate(names)]
    (tmp_path / "scores.csv").write_text("relative_path,score\n" + "\n".join(rows), "utf-8")
    assert labelled_images(tmp_path, *FOLDERS).scores.tolist() == [0, 1, 0, 1]
    (tmp_path / "scores.csv").write_text(f"relative_path,score\na/{names[0]},3", "utf-8")
    with pytest.raises(DataError, match="other than 1"):
        labelled_images(tmp_path, *FOLDERS)
    with pytest.raises(DataError, match="'keep' or 'accepted'"):
        labelled_images(tmp_path, *FOLDERS, use_score_file=False)


def test_one_kind_alone_is_refused(tmp_path):
    make_images(tmp_path / "keep", 4)
    with pytest.raises(DataError, match=r"4 images that you kept and 0 that you deleted"):
        labelled_images(tmp_path, *FOLDERS)


def test_copies_and_conflicts():
    contents = [b"a", b"b", b"a", b"c", b"b", b"b"]
    kept, (conflicts, copies) = distinct("012345", contents, np.array([1, 0, 1, 1, 1, 0]))
    assert kept.tolist() == [0, 3]
    assert conflicts.endswith("(1): 1 = 4 = 5.")
    assert copies == "Copies of other images, not used (1): 2."


@pytest.mark.parametrize(("images", "features"), [(300, 6), (60, 200)])
def test_the_logistic_head_is_the_penalised_maximum_likelihood(images, features):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, features)) * np.geomspace(0.1, 5, features) + 3
    y = (x[:, 0] + 0.1 * rng.normal(size=images) > 3.05).astype(float)
    head = fit_head("logistic", x, y)
    weights = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    scaler = Scaler.fit(x)
    reference = LogisticRegression(C=1 / head.penalty, tol=1e-10, max_iter=5000)
    reference.fit(scaler(x), y, sample_weight=weights)
    assert head.predict(x) == pytest.approx(reference.decision_function(scaler(x)), abs=1e-4)


def test_the_penalty_orders_new_images_as_well_as_the_best_one():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2080, 30))
    y = (x[:, :2].sum(axis=1) + rng.normal(size=2080) > 0).astype(float)
    new, truth = x[80:], y[80:]
    losses = [
        log_loss(truth, LogisticRegression(C=c).fit(x[:80], y[:80]).predict_proba(new))
        for c in np.logspace(-4, 2, 13)
    ]
    logits = fit_head("logistic", x[:80], y[:80]).predict(new)
    ours = np.mean(np.logaddexp(0, logits) - truth * logits)
    assert ours < min(losses) + 0.03 < losses[-1] - 0.1


def test_copies_of_an_image_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    rows = np.tile(np.arange(40), 3)
    x, y = rng.normal(size=(40, 60))[rows], (np.arange(40) % 2)[rows]
    fooled, honest = (fit_head("logistic", x, y, groups=groups) for groups in (None, rows))
    assert honest.penalty > 10 * fooled.penalty


def test_rare_labels_weigh_as_much_as_common_ones():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 3))
    y = (x[:, 0] + 0.5 * rng.normal(size=1000) > 1.6).astype(float)
    assert 0.02 < y.mean() < 0.15
    said = fit_head("logistic", x, y).predict(x) > 0
    assert said[y == 1].mean() > 0.8


def test_logistic_labels_are_ones_and_zeros():
    with pytest.raises(ModelError, match="labels 1"):
        fit_head("logistic", np.eye(4), [0, 1, 2, 1])


LABELLED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda n: n / 20)), min_size=4, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@settings(max_examples=25)
@given(LABELLED)
def test_figures_agree_with_scikit_learn(rows):
    y, p = (np.array(column, float) for column in zip(*rows, strict=True))
    m = evaluate_binary(y, p)
    assert m["auc"] == pytest.approx(roc_auc_score(y, p))
    assert m["average_precision"] == pytest.approx(average_precision_score(y, p))
    assert m["average_precision_delete"] == pytest.approx(average_precision_score(1 - y, -p))
    assert m["brier"] == pytest.approx(brier_score_loss(y, p))
    if (p > 0).all() and (p < 1).all():
        assert m["log_loss"] == pytest.approx(log_loss(y, p))


def test_figures_by_hand():
    y, p = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.3, 0.6, 0.2, 0.05])
    m = evaluate_binary(y, p)
    assert (m["precision"], m["recall"]) == (0.5, 0.5)
    assert (m["precision_delete"], m["recall_delete"]) == pytest.approx((2 / 3, 2 / 3))
    assert m["auc"] == pytest.approx(5 / 6)
    rows = {row["cut"]: row for row in cut_table(y, p)}
    assert rows[0.4] | {"share": None, "share_interval": None} == {
        "cut": 0.4, "n": 3, "right": 2, "share": None, "share_interval": None, "lost": 1,
        "found": pytest.approx(2 / 3),
    }  # fmt: skip
    assert rows[0.05]["n"] == 0 and rows[0.05]["share"] is None
    assert evaluate_binary([], [])["auc"] is None
    assert evaluate_binary([0], [1.0])["average_precision"] is None


def test_reliability_of_honest_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    for group in reliability(rng.random(20_000) < p, p):
        assert group["kept"] == pytest.approx(group["probability"], abs=0.03)


def load(folder, head, loss="bce", fraction=0.25):
    holder = labelled_images(folder, *FOLDERS)
    extractors = open_extractors("builtin")
    data = load_rated_features(holder, extractors, binary=True).split(fraction, 42)
    options = PredictorTrainingArgs(num_train_epochs=20, learning_rate=1e-3)
    fitted = fit_predictor(
        data,
        head,
        extractors=[e.describe() for e in extractors],
        mlp=Mlp(training_args=options, loss_model=loss),
    )
    return data, fitted


def publish(folder, data, fitted, images=3):
    results = evaluate_labels(data, fitted, 50)
    results.save(folder)
    write_report(folder / "report.html", results, images=images)
    return results


@pytest.mark.parametrize("head", ["logistic", "ridge", "mlp"])
def test_a_model_gives_probabilities_that_it_keeps(folder, tmp_path, head):
    data, fitted = load(folder, head)
    assert fitted.out_of_fold is not None
    assert int(data.test[data.holder.scores == 1].sum()) == 10  # a quarter of 39
    assert int(data.test[data.holder.scores == 0].sum()) == 15
    results = publish(tmp_path, data, fitted)
    fitted.predictor.save(tmp_path)
    loaded = Predictor.load(tmp_path)
    scores = loaded.predict(data.features)
    probability = loaded.probability(scores)
    assert probability is not None and ((probability > 0) & (probability < 1)).all()
    assert np.array_equal(np.argsort(scores), np.argsort(probability))
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["test"]["auc"] > (0.85 if head != "mlp" else 0.6)
    assert metrics["test"]["n"] + metrics["train"]["n"] == metrics["all"]["n"] == 99
    low, high = metrics["test"]["auc_interval"]
    assert low <= metrics["test"]["auc"] <= high
    assert "below" in results.table and len(results.paths) == 99


def test_the_two_wrong_labels_are_suspected_most(folder, tmp_path):
    data, fitted = load(folder, "logistic")
    results = publish(tmp_path, data, fitted)
    rows = read_suspected(tmp_path / FILE_NAME)
    surprise = [row.surprise for row in rows]
    assert surprise == sorted(surprise, reverse=True) and surprise[-1] > 0.5
    assert {row.kind for row in rows} == {"keep_delete"}
    lightest = {row.path for row in rows[:2] if (row.label, row.suggested) == ("delete", "keep")}
    holder = data.holder
    wrong = [path for path, score in zip(holder.paths, holder.scores, strict=True) if score == 0]
    assert lightest and lightest <= set(wrong)
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    content = json.loads(page.split('id="content">')[1].split("</script>")[0])
    assert [suspect["row"][0] for suspect in content["suspects"]] == [row.path for row in rows]
    assert len(results.suspects) == len(rows)


def test_too_few_images_for_probabilities(tmp_path):
    make_images(tmp_path / "keep", 4)
    make_images(tmp_path / "delete", 4, seed=1)
    data, fitted = load(tmp_path, "ridge", fraction=0.0)
    assert fitted.predictor.calibration is None and "Too few" in fitted.notes[-1]
    with pytest.raises(ModelError, match="20 images"):
        publish(tmp_path / "model", data, fitted)


def test_a_model_that_is_only_measured_shows_test_images(folder, tmp_path):
    data, fitted = load(folder, "ridge")
    results = publish(tmp_path, data, Fitted(fitted.predictor))
    assert len(results.paths) == int(data.test.sum()) and results.test.all()
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["all"]["n"] == 99
    assert "that the model was not trained on" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.browser
def test_the_page_can_be_read_on_every_screen(browser, folder, tmp_path):
    publish(tmp_path, *load(folder, "ridge"))
    assert faults(browser, (tmp_path / "report.html").as_uri()) == []
