"""Tagging as a user does it: train, look at the results, tag a folder, correct, serve."""

import csv
import http.client
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from src.image_models.save import MODEL_FILES, RESULT_FILES
from tests import tiny_models
from tests.browser import faults
from tests.scripts import run_script
from tests.torchrun import torchrun

ROOT = Path(__file__).parents[2]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}


def run(script, *words, check=True):
    return run_script(script, *words, check=check)


def train(images, saved, *words):
    places = f"--top_level_image_directory={images}", f"--save_model={saved}"
    words = "--label_source=tags", "--device=cpu", *places, *words
    return run("custom_classifier_training", *words)


def make_tagged(folder, n=90, seed=0):
    """Stripes of one to three colours; the tag file names the colours."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for index in range(n):
        names = [name for name in COLOURS if rng.random() < 0.5] or ["red"]
        pixels = rng.integers(0, 60, (40, 48, 3))
        for place, name in enumerate(names):
            top = 13 * place
            pixels[top : top + 12] += np.array(COLOURS[name]) - 30 + rng.integers(-10, 10, 3)
        path = folder / f"{index:03d}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        path.with_name(path.name + ".txt").write_text("\n".join(names), encoding="utf-8")
    for index in range(3):  # the same again: must stay on one side of the split
        shutil.copy(folder / f"{index:03d}.png", folder / f"copy{index}.png")
        shutil.copy(folder / f"{index:03d}.png.txt", folder / f"copy{index}.png.txt")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
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


def test_what_training_says_and_writes(trained):
    base, done = trained
    model = base / "model"
    others = {"model.onnx", "selected_tags.csv", "tags.csv", "thresholds.json", "README.md"}
    files = {path.name for path in model.iterdir()}
    assert files == {*MODEL_FILES, *RESULT_FILES, *others} - {
        "predictions.csv",
        "confusion_matrix.csv",
    }
    assert re.search(r"epoch 40: .*validation loss .*TP \d+ FP \d+ FN \d+ TN \d+", done.stderr)
    assert f"Model: {model}" in done.stdout
    assert "python run.py tag_images" in done.stdout
    assert not (base / "model.checkpoints").exists()
    metrics = json.loads((model / "metrics.json").read_text("utf-8"))
    assert metrics["thresholds_chosen_on"] == "validation"
    assert metrics["reported_on"] == "test"
    assert metrics["slices"][0]["map_macro"] > 0.8  # stripes of colour are easy
    assert sum(metrics["images"].values()) == 93
    with (model / "tags.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["tag"] for row in csv.DictReader(stream)} == set(COLOURS)


def test_the_saved_folder_is_a_plain_transformers_model(trained):
    import transformers

    base, _ = trained
    model = transformers.AutoModelForImageClassification.from_pretrained(base / "model")
    tags = (base / "model" / "selected_tags.csv").read_text("utf-8").splitlines()[1:]
    assert [model.config.id2label[i] for i in range(3)] == [row.split(",")[1] for row in tags]
    assert model.config.problem_type == "multi_label_classification"


def tagged(folder):
    return {path.name: path.read_text("utf-8").split() for path in sorted(folder.glob("*.txt"))}


def test_tagging_a_folder_without_torch_gives_what_torch_gives(trained, tmp_path):
    base, _ = trained
    folders = {}
    for backend in ("onnx", "torch"):
        folders[backend] = tmp_path / backend
        folders[backend].mkdir()
        for index in range(20, 32):
            shutil.copy(base / "images" / f"{index:03d}.png", folders[backend])
    words = [f"--load_model={base / 'model'}", "--device=cpu", "--whitelist=", "--dry_run=False"]
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['tag_images.py', *{[*words, '--backend=onnx']!r}, "
        f"'--top_level_image_directory={folders['onnx']}', "
        f"'--probabilities={tmp_path / 'p.csv'}']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'tag_images.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not sys.modules.keys() & {'torch', 'transformers', 'sklearn', 'scipy'}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "12 tag files written" in done.stdout
    run("tag_images", *words, "--backend=torch", f"--top_level_image_directory={folders['torch']}")
    truth, ours, theirs = (
        tagged(folder) for folder in (base / "images", folders["onnx"], folders["torch"])
    )
    assert ours.keys() == theirs.keys()
    assert sum(set(names) == set(truth[file]) for file, names in ours.items()) >= 6
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    # The threshold is some validation image's own score: rounding may decide there.
    threshold = json.loads((base / "model" / "thresholds.json").read_text("utf-8"))["global"]
    for row in rows:
        shares = [float(row[name]) for name in COLOURS]
        assert all(0 <= share <= 1 for share in shares)
        if min(abs(share - threshold) for share in shares) > 1e-4:
            assert ours[f"{row['path']}.txt"] == theirs[f"{row['path']}.txt"]


def test_whitelist_top_k_and_list(trained, tmp_path):
    base, _ = trained
    for index in range(3):
        shutil.copy(base / "images" / f"{index:03d}.png", tmp_path)
    (tmp_path / "white.txt").write_text("\ufeffred\r\nblue\r\n", encoding="utf-8")
    words = [f"--load_model={base / 'model'}", f"--top_level_image_directory={tmp_path}"]
    white = f"--whitelist={tmp_path / 'white.txt'}"
    run("tag_images", *words, white, "--top_k=3", "--dry_run=False")
    assert all(sorted(names) == ["blue", "red"] for names in list(tagged(tmp_path).values())[:3])
    listed = run("tag_images", *words, "--action=list").stdout
    assert set(re.findall(r"\w+$", listed, re.MULTILINE)) == set(COLOURS)


def test_measuring_several_models_together(trained, tmp_path):
    base, _ = trained
    other = tmp_path / "other"
    shutil.copytree(base / "model", other)
    models = f"--load_model={base / 'model'}+{other}"
    done = train(base / "images", tmp_path / "both", "--mode=evaluate", models)
    assert "all tags, ensemble" in done.stdout
    figures = json.loads((tmp_path / "both" / "metrics.json").read_text("utf-8"))
    alone = json.loads((base / "model" / "metrics.json").read_text("utf-8"))
    # The mean of a model and its copy is the model; what neither has seen is the test.
    assert figures["slices"][0]["f1_micro"] == pytest.approx(alone["slices"][0]["f1_micro"])
    assert {row["model"] for row in figures["models"]} == {"ensemble", "model", "other"}
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(base / "images" / "005.png", folder)
    words = [f"--load_model={tmp_path / 'both'}", f"--top_level_image_directory={folder}"]
    run("tag_images", *words, "--dry_run=False")
    assert (folder / "005.png.txt").is_file()


def read(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def hidden(model, images):
    """Images that a model has not seen."""
    known = {row.tobytes() for row in load_file(model / "trained_on.safetensors")["sha256s"]}
    files = [file for file in images.rglob("*.png")]
    return {file for file in files if sha256(file.read_bytes()).digest() not in known}


@pytest.mark.timeout(600)
def test_no_round_of_the_loop_tests_on_what_was_trained_on(trained, tmp_path):
    base, _ = trained
    model = shutil.copytree(base / "model", tmp_path / "model")
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    first = read(model)
    assert first["test"]["n"] == len(hidden(model, base / "images")) > 10

    other = tmp_path / "other"  # the same pictures under other names, half of them encoded anew
    other.mkdir()
    for number, file in enumerate(sorted((base / "images").glob("*.png"))):
        target = other / f"{number}{('.png', '.jpg')[number % 2]}"
        if number % 2:
            Image.open(file).resize((96, 80), Image.Resampling.BICUBIC).save(target, quality=92)
        else:
            shutil.copy(file, target)
        shutil.copy(f"{file}.txt", f"{target}.txt")

    evaluating = ["--mode=evaluate", f"--load_model={model}", "--test_pick_seed=7"]
    for images, saved, results in (
        (base / "images", tmp_path / "again", tmp_path / "again"),
        (other, model, model / "evaluation-other"),
        (base / "images", model, model / "evaluation-images"),
    ):
        train(images, saved, *evaluating)
        found = read(results)
        assert (found["task"], found["test"]["n"]) == ("tags", first["test"]["n"])
        assert found["test"]["threshold"] == first["test"]["threshold"]
        if images != other:
            for name in ("micro_f1", "macro_f1", "map", "precision", "recall"):
                assert found["test"][name] == pytest.approx(first["test"][name], abs=1e-5)
        assert {
            file.name: file.read_bytes() for file in model.iterdir() if file.is_file()
        } == before

    second, third = tmp_path / "second", tmp_path / "third"
    few = "--tag_head_epochs=3"
    train(base / "images", second, few, f"--load_model={model}", "--test_pick_seed=7")
    train(base / "images", third, few, f"--base_model={second}", "--fraction_for_test=0.1")
    ages = [hidden(each, base / "images") for each in (third, second, model)]
    assert ages[0] < ages[1] <= ages[2]
    assert read(second)["test"]["n"] == len(ages[1]) > 0
    assert read(third)["test"]["n"] == len(ages[0]) > 0


def test_corrections_from_the_list_and_back(trained, tmp_path):
    base, _ = trained
    images = tmp_path / "images"
    shutil.copytree(base / "images", images)
    before = tagged(images)
    heading, *_ = (base / "model" / "suspected_labels.csv").read_text("utf-8").splitlines()
    rows = [
        "004.png,tag,new,add,1,1,wrong",
        "005.png,tag,new,add,1,0.9,",
        "005.png,tag,x,add,1,1,right",
    ]
    (tmp_path / "chosen.csv").write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    words = f"--decisions={tmp_path / 'chosen.csv'}", f"--top_level_image_directory={images}"
    assert (
        "1 tag file to change" in run("review_labels", *words).stdout and tagged(images) == before
    )
    done = run("review_labels", *words, "--dry_run=False")
    changed = tagged(images)
    assert changed["004.png.txt"] == [*before["004.png.txt"], "new"]
    assert changed["005.png.txt"] == before["005.png.txt"]
    run("review_labels", re.search(r"--undo=.*", done.stdout)[0])
    assert tagged(images) == before
    assert "2 tag files" in run("review_labels", *words, "--at_least=0.9").stdout
    assert tagged(images) == before


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--load_model=nowhere"], "there is no model folder"),
        ([], "load_model is empty"),
        (["--load_model=src"], "train a tagging model"),
    ],
)
def test_wrong_models_are_one_line(words, part, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    done = run("tag_images", *words, f"--top_level_image_directory={tmp_path}", check=False)
    assert done.returncode == 2
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun wants POSIX here")
def test_the_whole_model_with_two_processes(trained, tmp_path):
    base, _ = trained
    backbone = tiny_models.convnext(tmp_path / "backbone")
    done = torchrun(
        "custom_classifier_training.py",
        "--label_source=tags",
        "--train_backbone=True",
        f"--top_level_image_directory={base / 'images'}",
        f"--base_model={backbone}",
        f"--save_model={tmp_path / 'model'}",
        "--training_args.num_train_epochs=2",
        "--training_args.per_device_train_batch_size=8",
        "--image_sizes=[32, 40]",
        "--augment_mixup=0.2",
        "--ema_decay=0.5",
        "--tag_loss=asl",
        "--device=cpu",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Model: ") == 1  # one process tells
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text("utf-8"))
    assert metrics["provenance"]["trained"] == "the whole model"
    processor = json.loads((tmp_path / "model" / "preprocessor_config.json").read_text("utf-8"))
    assert processor["size"] == {"shortest_edge": 40}


@pytest.fixture(scope="module")
def server(trained):
    base, _ = trained
    words = [f"--load_model={base / 'model'}", "--action=serve", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, "tag_images.py", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address, process.stderr.read()
        yield address[0]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stderr.close()


def post(address, body, headers=None):
    request = urllib.request.Request(address, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def png(size):
    buffer = io.BytesIO()
    Image.new("1", size).save(buffer, "PNG")
    return buffer.getvalue()


def noise():
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_server_tags_what_is_posted(trained, server):
    base, _ = trained
    content = (base / "images" / "007.png").read_bytes()
    status, answer = post(f"{server}/api/tag?limit=500", content)
    assert status == 200
    assert (answer["width"], answer["height"]) == (48, 40)
    assert {tag["name"] for tag in answer["tags"]} == set(COLOURS)
    shares = [tag["probability"] for tag in answer["tags"]]
    assert shares == sorted(shares, reverse=True)
    _, strict = post(f"{server}/api/tag?threshold=1", content)
    assert strict["tags"] == []
    with urllib.request.urlopen(f"{server}/api/tags", timeout=60) as reply:
        assert {tag["name"] for tag in json.load(reply)} == set(COLOURS)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 415),
        (b"no image at all", 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 415),
        (noise()[:1000], 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (png((20_000, 20_000)), 413),  # 400 megapixels in a few kilobytes
        (bytes((32 << 20) + 1), 413),
        (b"../../etc/passwd", 415),
    ],
    ids=["empty", "text", "header", "truncated", "svg", "bomb", "huge", "path"],
)
def test_what_is_no_good_is_refused(server, body, status):
    try:
        found, _ = post(f"{server}/api/tag", body)
    except (BrokenPipeError, ConnectionResetError, urllib.error.URLError) as error:
        # The server may answer 413 and close before a huge body is sent.
        assert len(body) > 32 << 20, error
        found = 413
    assert found == status
    assert post(f"{server}/api/tag", png((30, 20)))[0] == 200  # and it goes on


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?threshold=2", {}, 422),
        ("?threshold=x", {}, 422),
        ("?limit=0", {}, 422),
        ("?limit=9999999", {}, 422),
        ("", {"Host": "evil.example"}, 400),
        ("", {"Origin": "https://evil.example"}, 403),
        ("", {"Origin": "http://127.0.0.1:1"}, 403),
        ("", {"Origin": "null"}, 403),
    ],
)
def test_wrong_numbers_other_names_and_pages_of_other_sites_are_refused(
    server, query, headers, status
):
    assert post(f"{server}/api/tag{query}", png((30, 20)), headers)[0] == status
    assert post(f"{server}/api/tag", png((30, 20)), {"Origin": server})[0] == 200


@pytest.mark.parametrize("path", ["/../run.py", "/api/tag/../../run.py", "/docs", "/page.html"])
def test_there_is_nothing_else(server, path):
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(server + path, timeout=60)
    caught.value.close()


def test_an_upload_that_tells_no_size_is_read_no_further_than_allowed(server):
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=60)
    pieces = (bytes(1 << 20) for _ in range(33))
    try:
        connection.request("POST", "/api/tag", body=pieces, encode_chunked=True)
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # closed before all of it was sent
    finally:
        connection.close()
    assert status == 413


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda _: condition())


@pytest.mark.browser
def test_the_page_tags_an_image_and_the_slider_chooses(trained, server, browser):
    base, _ = trained
    assert faults(browser, server) == []
    browser.get(server)
    browser.find_element("id", "file").send_keys(str(base / "images" / "003.png"))
    wait(browser, lambda: "tags" in browser.find_element("id", "count").text)

    def at(value):
        browser.execute_script(
            "const s = document.getElementById('threshold'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            value,
        )
        return [item.text for item in browser.find_elements("css selector", "#tags li")]

    assert len(at(0)) == 3
    assert at(1) == []
    assert not browser.find_element("id", "own").is_selected()
    browser.find_element("id", "file").send_keys(str(ROOT / "run.py"))
    wait(browser, lambda: "not an image" in browser.find_element("id", "problem").text)
    severe = [line for line in browser.get_log("browser") if "Security Policy" in line["message"]]
    assert not severe


@pytest.mark.browser
def test_the_report_sorts_and_filters(trained, browser):
    base, _ = trained
    browser.get((base / "model" / "report.html").as_uri())

    def names():
        cells = browser.find_elements("css selector", "#tags tbody td:first-child")
        return [cell.text for cell in cells]

    browser.find_element("css selector", "#tags th[data-key=tag]").click()
    assert names() == ["blue", "green", "red"]
    browser.find_element("css selector", "#tags th[data-key=tag]").click()
    assert names() == ["red", "green", "blue"]
    browser.find_element("id", "filter").send_keys("e")
    assert sorted(names()) == ["blue", "green", "red"]
    browser.find_element("id", "filter").send_keys("d")
    assert names() == ["red"]
    assert browser.find_elements("css selector", "#tags tbody img")
    assert (
        browser.find_element("link text", "look at them").get_attribute("href").startswith("file")
    )
