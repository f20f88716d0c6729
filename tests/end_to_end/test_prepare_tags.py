"""prepare_tags.py as a user runs it."""

from functools import partial

from tests.conftest import make_images
from tests.scripts import run_script

run = partial(run_script, "prepare_tags")


def test_tag_check_and_undo(tmp_path):
    make_images(tmp_path / "cats", 2)
    make_images(tmp_path / "dogs", 1, seed=5)
    (tmp_path / "dogs" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "dogs" / "000.png.txt").write_text("mine\n")
    folder = f"--top_level_image_directory={tmp_path}"
    before = sorted(path.name for path in tmp_path.rglob("*"))

    dry = run(folder, "--tags_from_folders=True")
    assert dry.returncode == 0, dry.stderr
    assert "would write: cats/000.png.txt: cats" in dry.stdout
    assert sorted(path.name for path in tmp_path.rglob("*")) == before

    listing = f"--write_tag_list={tmp_path / 'tags.csv'}"
    done = run(folder, "--tags_from_folders=True", "--dry_run=False", listing)
    assert done.returncode == 0, done.stderr
    assert "4 images: 3 tag files to write, 1 there and kept" in done.stdout
    assert "dogs/broken.jpg: " in done.stderr
    assert (tmp_path / "cats/001.png.txt").read_text() == "cats\n"
    assert (tmp_path / "dogs/000.png.txt").read_text() == "mine\n"
    assert (tmp_path / "tags.csv").read_text().splitlines() == [
        "tag_id,name,category,count",
        "0,cats,0,2",
        "1,dogs,0,1",
        "2,mine,0,1",
    ]
    (undo_file,) = tmp_path.glob("undo-tags-*.jsonl")
    back = run(f"--undo={undo_file}")
    assert back.returncode == 0
    assert "3 changes undone" in back.stdout
    assert not (tmp_path / "cats/001.png.txt").exists()
    assert (tmp_path / "dogs/000.png.txt").read_text() == "mine\n"


def test_a_folder_that_is_not_there_is_one_line():
    done = run("--top_level_image_directory=nowhere/at/all", "--tags_to_write=x")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nowhere" in done.stderr


def test_converting_a_dotenv_once(tmp_path):
    (tmp_path / ".env").write_text("TRAINING=training/\nMODEL=models/m.pth\n")
    done = run("--convert_env=.env", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arguments_from_env.py").is_file()
    again = run("--convert_env=.env", cwd=tmp_path)
    assert again.returncode == 2
    assert "already exists" in again.stderr
