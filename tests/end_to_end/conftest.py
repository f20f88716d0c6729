"""What several files of end-to-end tests start from."""

import pytest

from tests import tiny_models
from tests.tagging import make_tagged, train


@pytest.fixture(scope="session")
def trained_tagger(tmp_path_factory):
    """A folder with images and a model of their tags, and what training said."""
    base = tmp_path_factory.mktemp("tagging")
    images = make_tagged(base / "images")
    backbone = tiny_models.convnext(base / "backbone")
    done = train(
        images,
        base / "model",
        f"--base_model={backbone}",
        "--tag_head_epochs=40",
        "--tag_head_learning_rate=0.05",
        "--threshold_min_support=3",
        "--export_onnx=True",
    )
    return base, done
