"""A tagger of the wd family with random weights, and a plain script that tags with it."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = {  # name -> category, in the order of the outputs
    **dict.fromkeys(("general", "sensitive", "questionable", "explicit"), 9),
    **dict.fromkeys(("1girl", "long_hair", "^_^", "hat", "outdoors", "sky", "cat_(animal)"), 0),
    **dict.fromkeys(("saber_(fate)", "hatsune_miku"), 4),
}


def write_tag_list(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "selected_tags.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["tag_id", "name", "category", "count"])
        rows.writerows(
            [9_000_000 + i, name, kind, 5] for i, (name, kind) in enumerate(NAMES.items())
        )


def write_folder(
    folder: Path, layout: str = "NHWC", *, side: int = 32, batch: int | str = "N", seed: int = 0
) -> Path:
    """selected_tags.csv and model.onnx: patches, a nonlinearity, their mean, probabilities."""
    from onnx import TensorProto, helper, numpy_helper

    write_tag_list(folder)
    rng = np.random.default_rng(seed)
    weights = {  # what differs between images is not drowned by how bright they are
        "patches": rng.normal(0, 0.003, (24, 3, 1, 1)) + rng.normal(0, 0.003, (24, 3, 8, 8)),
        "head": rng.normal(0, 3.0, (24, len(NAMES))),
        "bias": rng.normal(-1, 1, len(NAMES)),
    }
    weights["patches"] -= weights["patches"].mean(axis=(1, 2, 3), keepdims=True)
    shape = [batch, side, side, 3] if layout == "NHWC" else [batch, 3, side, side]
    first = [helper.make_node("Transpose", ["input"], ["planes"], perm=[0, 3, 1, 2])]
    graph = helper.make_graph(
        [
            *(first if layout == "NHWC" else []),
            helper.make_node(
                "Conv",
                ["planes" if layout == "NHWC" else "input", "patches"],
                ["c"],
                strides=[8, 8],
            ),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "head", "bias"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["output"]),
        ],
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, len(NAMES)])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


def plain_probabilities(folder: Path, file: Path) -> dict[str, float]:
    """By nothing but onnxruntime and Pillow, as the models' public page says.

    https://huggingface.co/spaces/SmilingWolf/wd-tagger: transparency on white, the shorter side
    padded with white on both sides, bicubic to the input's size, blue green red, 0 to 255.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (wanted,) = session.get_inputs()
    side = wanted.shape[2]
    image = Image.open(file).convert("RGBA")
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
    canvas.alpha_composite(image)
    square = padded(canvas.convert("RGB"))
    if square.size != (side, side):
        square = square.resize((side, side), Image.Resampling.BICUBIC)
    values = np.asarray(square, dtype=np.float32)[:, :, ::-1][None]
    if wanted.shape[1] == 3:
        values = values.transpose(0, 3, 1, 2)
    (found,) = session.run(None, {wanted.name: values})
    return dict(zip(NAMES, found[0].tolist(), strict=True))


def padded(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = max(width, height)
    square = Image.new("RGB", (longest, longest), (255, 255, 255))
    square.paste(image, ((longest - width) // 2, (longest - height) // 2))
    return square


def plain_tags(found: dict[str, float]) -> set[str]:
    """General tags from 0.35, characters from 0.85, and the likeliest rating."""
    limits = {0: 0.35, 4: 0.85}
    given = {name for name, kind in NAMES.items() if kind != 9 and found[name] >= limits[kind]}
    ratings = [name for name, kind in NAMES.items() if kind == 9]
    return given | {max(ratings, key=lambda name: found[name])}
