"""Every file of a model folder, damaged hundreds of times: one line each, nothing is changed."""

import json
import pickle
import random
import struct
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from src.aesthetic.calibration import Calibration
from src.aesthetic.heads import EnsembleHead, MlpHead, ResidualHead, fit_head
from src.aesthetic.lineage import Ancestor
from src.aesthetic.predictor import Predictor
from src.dataset.trained_on import TrainedOn
from src.errors import UserError
from src.features.builtin import BuiltinExtractor
from src.files import evaluation_folder, write_text
from src.scoring.scored import reopen_extractors

ABSURD = (
    *(1e308, -1e308, float("nan"), float("inf"), 10**400, -1, 0, 1e-320, 2**63),
    *("\ud800", "", "x" * 9, True, None, [], {}, [[]], [{"a": []}], {"a": 1}, [1e308], ["\udfff"]),
)


def network(seed, sizes=(6, 4, 1)):
    rng = np.random.default_rng(seed)
    layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in pairwise(sizes)]
    weights, biases = zip(*layers, strict=True)
    return MlpHead(weights, biases, True, (0.2,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models with every kind of head, what they have seen, and heads of others."""
    path = tmp_path_factory.mktemp("models")
    x = np.random.default_rng(0).normal(size=(30, 6))
    kernel = fit_head("kernel", x, x[:, 0])
    prior = EnsembleHead((network(0), network(1)), 0.5)
    seen = TrainedOn.of([bytes([n]) * 32 for n in range(30)], np.zeros((30, 32)), ("other",))
    made = {"loss_model": "ranking", "test_pick_seed": 42, "fraction_for_test": 0.25}
    for name, head in (
        ("a", kernel),
        ("b", ResidualHead(prior, 0.5, fit_head("ridge", x, -x[:, 1]))),
    ):
        Predictor(
            head, (BuiltinExtractor().describe(),), False, 1.0, 2.0, tuple(range(101)), 0.5, made,
            Calibration(1.0, 0.0),
        ).save(path / name)  # fmt: skip
        seen.save(path / name)
        (path / name / "metrics.json").write_text('{"task": "aesthetic", "images": "/x"}')
    layers = {"layers.0.weight": torch.ones(1, 6), "layers.0.bias": torch.ones(1)}
    torch.save(layers, path / "a" / "published.pth")
    return path


def parts(content):
    """The header of a safetensors file, and its data."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def spoilt(value, rng):
    """A JSON value with something absurd somewhere in it; texts that hold JSON are opened."""
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.9:
        return json.dumps(spoilt(json.loads(value), rng))
    if isinstance(value, (dict, list)) and value and rng.random() < 0.9:
        value = value.copy()
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if isinstance(value, dict) and rng.random() < 0.2:
            del value[key]
        else:
            value[key] = spoilt(value[key], rng)
        return value
    return rng.choice(ABSURD)


def bytes_flipped(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def header_changed(content, rng):
    header, data = parts(content)
    return joined(spoilt(header, rng), data)


def metadata_changed(content, rng):
    header, data = parts(content)
    texts = header["__metadata__"]
    name = rng.choice(list(texts))
    texts[name] = spoilt(texts[name], rng)
    if not isinstance(texts[name], str):
        texts[name] = json.dumps(texts[name])
    return joined(header, data)


def numbers_changed(content, rng):
    header, data = parts(content)
    tensor = header[rng.choice([name for name in header if name != "__metadata__"])]
    start, end = tensor["data_offsets"]
    width = {"F64": "<f8", "F32": "<f4"}.get(tensor["dtype"])
    if width is None or start == end:
        return content
    array = np.frombuffer(data[start:end], width).copy()
    with np.errstate(all="ignore"):
        array[rng.randrange(len(array))] = rng.choice([np.nan, 1e308, -np.inf, 0, 1e29])
    return joined(header, data[:start] + array.tobytes() + data[end:])


def replaced(content, rng):
    return rng.choice(
        [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, pickle.dumps({"weight": 1}), content * 2]
    )


DAMAGES = (
    *(bytes_flipped, header_changed, metadata_changed, numbers_changed, replaced),
    lambda content, rng: content[: rng.randrange(len(content))],
)


def use(folder, file):
    """What scripts do with a model."""
    with np.errstate(all="ignore"):
        model = Ancestor.load(folder if file.suffix != ".pth" else file)
        predictor, x = model.predictor, np.random.default_rng(1).normal(size=(5, 6))
        scores = predictor.predict(x)
        for found in (scores, predictor.predict_std(x), predictor.percentile(scores)):
            assert found is None or np.isfinite(found).all()
        if (chances := predictor.probability(scores)) is not None:
            assert ((chances >= 0) & (chances <= 1)).all()
    data = SimpleNamespace(
        sha256s=[bytes(32)] * 5, hashes=np.zeros((5, 32), np.uint8), groups=np.arange(5),
        test_mask=lambda fraction, seed: np.zeros(5, bool),
    )  # fmt: skip
    assert model.seen(data).shape == (5,)
    if predictor.extractors and predictor.extractors[0].get("name") == "builtin":
        reopen_extractors(predictor, device="cpu")
    write_text(folder.parent / "page.html", str([*predictor.provenance.items()]))


@pytest.mark.parametrize(
    "name", ["model.safetensors", "trained_on.safetensors", "metrics.json", "published.pth"]
)
def test_damaged_files_are_one_line(folder, name):
    rng, told = random.Random(name), 0
    files = sorted(folder.rglob(name))
    for number in range(400 if name == "model.safetensors" else 100):
        file = files[number % len(files)]
        whole = file.read_bytes()
        damage = rng.choice(DAMAGES)
        if name.endswith(".json"):
            content = json.dumps(spoilt(json.loads(whole), rng)).encode()
        elif name.endswith(".pth"):
            content = rng.choice([bytes_flipped, replaced, DAMAGES[-1]])(whole, rng)
        else:
            content = damage(whole, rng)
        file.write_bytes(content)
        before = {path: path.read_bytes() for path in file.parent.iterdir()}
        try:
            use(file.parent, file)
            evaluation_folder(file.parent, Path("/x"), None)
        except UserError as error:
            told += 1
            assert "\n" not in str(error)
        except Exception as error:
            raise AssertionError(f"{damage.__name__} {number} of {file}") from error
        finally:
            after = {path: path.read_bytes() for path in file.parent.iterdir()}
            file.write_bytes(whole)
        assert before == after
    assert told > 30 or name == "metrics.json"
