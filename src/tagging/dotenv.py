"""A multitag-trainer `.env` file as an arguments file of this tool."""

import re
from pathlib import Path, PurePosixPath

from src.errors import DataError
from src.files import write_text
from src.tagging.tag_files import read_text

_LINE = re.compile(  # comments, quotes and `export` are understood
    r"""\s*(export\s+)?(?P<name>\w+)\s*=\s*"""
    r"""((?P<quote>["'])(?P<quoted>.*)(?P=quote)|(?P<plain>.*?))(\s+#.*)?\s*"""
)

_TEMPLATE = '''"""Settings from {name}, for this tool; all other keys keep their default values."""

args = {{
    "label_source": "tags",  # image1.jpg.txt beside image1.jpg, one tag on a line
    "top_level_image_directory": {training!r},
    "save_model": {model!r},
    # The same backbone as there; the epochs are those of the old script, too.
    "base_model": "microsoft/resnet-101",
    "train_backbone": False,
    "tag_head_epochs": 10,
    "fraction_for_test": 0.15,
    "fraction_for_validation": 0.18,
    "mode": "train,evaluate",
    "eval_every_n_epochs": 1,
    "tag_images": {{
        "top_level_image_directory": {inference!r},
        "load_model": {model!r},
    }},
}}

training_args = {{
    "per_device_train_batch_size": 32,
    "lr_scheduler_type": "constant",
}}
'''


def write_arguments(file: Path, out: Path) -> Path:
    """Write an arguments file that does what a multitag-trainer `.env` says; returns `out`.

    TRAINING becomes `top_level_image_directory`, MODEL (a .pth file there, a folder here)
    `save_model`, INFERENCE_DIR the folder of tag_images. TAGS, a pickle of the tag list, has no
    counterpart: the model folder knows its tags.
    """
    if out.exists():
        raise DataError(f"{out} already exists: rename or delete it first")
    lines = filter(None, map(_LINE.fullmatch, read_text(file).splitlines()))
    values = {line["name"]: line["quoted"] or line["plain"] for line in lines}
    training = values.get("TRAINING")
    if not training:
        raise DataError(f"{file} names no TRAINING folder, as a multitag-trainer .env does")
    model = PurePosixPath((values.get("MODEL") or "models/my_model").replace("\\", "/"))
    text = _TEMPLATE.format(
        name=file.name,
        training=training,
        model=str(model.with_suffix("") if model.suffix in (".pth", ".pt", ".bin") else model),
        inference=values.get("INFERENCE_DIR") or training,
    )
    write_text(out, text)
    return out
