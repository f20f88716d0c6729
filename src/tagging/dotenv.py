"""A multitag-trainer `.env` file as an arguments file of this tool."""

import re
from pathlib import Path, PurePosixPath

from src.errors import DataError
from src.files import write_text

_LINE = re.compile(r"\s*(?:export\s+)?(\w+)\s*=\s*(.*)")
_KEYS = ("TRAINING", "INFERENCE_DIR", "MODEL", "TAGS")

_TEMPLATE = '''"""Settings from {name}, for this tool; all other keys keep their default values.

    python run.py custom_classifier_training --arguments={out}
    python run.py tag_images --arguments={out}
"""

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
}}

training_args = {{
    "per_device_train_batch_size": 32,
    "lr_scheduler_type": "constant",
}}

per_script = {{
    "tag_images": {{
        "top_level_image_directory": {inference!r},
        "load_model": {model!r},
    }},
}}
'''


def read_dotenv(file: Path) -> dict[str, str]:
    """The variables of a `.env` file; comments, quotes and `export` are understood.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is no UTF-8 text") from None
    values = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            values[match[1]] = _unquoted(match[2].strip())
    return values


def write_arguments(file: Path, out: Path) -> Path:
    """Turn a `.env` into an arguments file, which must not be there; returns `out`.

    Raises:
        DataError: `out` is there, or as `arguments_text`.
    """
    if out.exists():
        raise DataError(f"{out} is there already: rename or delete it first")
    write_text(out, arguments_text(file, out))
    return out


def arguments_text(file: Path, out: Path) -> str:
    """The text of an arguments file that does what a multitag-trainer `.env` says.

    TRAINING becomes `top_level_image_directory`, MODEL (a .pth file there, a folder here)
    `save_model`, INFERENCE_DIR the folder of tag_images. TAGS, a pickle of the tag list, has no
    counterpart: the model folder knows its tags.

    Raises:
        DataError: the file cannot be read or names no training folder.
    """
    values = read_dotenv(file)
    if not values.get("TRAINING"):
        raise DataError(
            f"{file} names no TRAINING folder: a multitag-trainer .env holds {', '.join(_KEYS)}"
        )
    model = values.get("MODEL") or "models/my_model"
    return _TEMPLATE.format(
        name=file.name,
        out=out.name,
        training=values["TRAINING"],
        model=re.sub(r"\.(pth|pt|bin)$", "", PurePosixPath(model.replace("\\", "/")).as_posix()),
        inference=values.get("INFERENCE_DIR") or values["TRAINING"],
    )


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip()
