"""Writing tag files for a folder tree, undoing it, and what is wrong with the images."""

import shutil

import pytest

from src.images import ImageFile
from src.settings.housekeeping import PrepareTags
from src.settings.tags import TagFiles
from src.tagging.dotenv import write_arguments
from src.tagging.prepare import check_images, plan_tags
from src.tagging.tag_files import tag_changes
from tests.conftest import make_images

STYLE = TagFiles()
IMAGES = ["cats/indoors/a.jpg", "cats/b.jpg", "c.jpg"]


def planned(folder, images, **settings):
    return plan_tags(images, PrepareTags(top_level_image_directory=str(folder), **settings))


def test_fixed_tags_and_folder_names(tmp_path):
    plan = planned(tmp_path, IMAGES, tags_from_folders=True)
    assert plan.untagged == ["c.jpg"] and "c.jpg.txt" not in plan.changes
    plan = planned(tmp_path, IMAGES, tags_to_write="photo,", tags_from_folders=True)
    assert plan.changes == {
        "cats/indoors/a.jpg.txt": ["photo", "cats", "indoors"],
        "cats/b.jpg.txt": ["photo", "cats"],
        "c.jpg.txt": ["photo"],
    }


@pytest.mark.parametrize(
    ("existing", "tags"), [("skip", None), ("append", ["mine", "x"]), ("overwrite", ["x"])]
)
def test_files_that_are_there(tmp_path, existing, tags):
    (tmp_path / "c.jpg.txt").write_text("mine\n")
    plan = planned(tmp_path, ["c.jpg"], tags_to_write="x", existing=existing)
    assert plan.changes.get("c.jpg.txt") == tags
    assert plan.kept == (["c.jpg.txt"] if tags is None else [])


def test_two_images_never_share_a_file(tmp_path):
    settings = {"tags_to_write": "x", "tag_files": "image1.txt"}
    plan = planned(tmp_path, ["a.jpg", "a.png"], **settings)
    assert plan.changes == {"a.txt": ["x"]}
    assert plan.kept == ["a.txt"]
    (tmp_path / "a.txt").write_text("mine")
    plan = planned(tmp_path, ["a.jpg", "a.png"], existing="overwrite", **settings)
    assert plan.changes == {}


def test_only_files_that_hold_other_tags_are_changed(tmp_path):
    (tmp_path / "a.jpg.txt").write_bytes(b"\r\n old \r\nold\r\n")
    (tmp_path / "same.jpg.txt").write_text("new\n\n")
    changes = {name: ["new"] for name in ("a.jpg.txt", "c.jpg.txt", "same.jpg.txt")}
    planned = tag_changes(tmp_path, changes, STYLE)
    assert [(change.path, change.after) for change in planned] == [
        ("a.jpg.txt", b"new\n"), ("c.jpg.txt", b"new\n")
    ]  # fmt: skip


def test_damaged_and_repeated_images(tmp_path):
    make_images(tmp_path, 3)
    shutil.copy(tmp_path / "000.png", tmp_path / "copy.png")
    whole = (tmp_path / "002.png").read_bytes()
    (tmp_path / "002.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    names = sorted(path.name for path in tmp_path.iterdir())
    unreadable, copies = check_images(
        tmp_path, [ImageFile(name, 0, 0) for name in [*names, "gone.png"]]
    )
    assert unreadable.keys() == {"002.png", "empty.png", "gone.png"}
    assert copies == [["000.png", "copy.png"]]


def test_a_dotenv_becomes_an_arguments_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "# paths\nTRAINING='my images/'\nexport INFERENCE_DIR=C:\\new\\pictures  # later\n"
        "MODEL=models/classifier.pth\nTAGS=models/tags.pkl\n\nnonsense\n"
    )
    variables: dict = {}
    exec(write_arguments(file, tmp_path / "out.py").read_text(), variables)
    assert variables["args"]["top_level_image_directory"] == "my images/"
    assert variables["args"]["save_model"] == "models/classifier"
    tagging = variables["args"]["tag_images"]
    assert tagging["top_level_image_directory"] == "C:\\new\\pictures"
    assert tagging["load_model"] == "models/classifier"
