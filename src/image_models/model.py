"""Loading an image classifier of transformers: a head for the classes, another image size."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import MissingExtra, ModelError, loading
from src.files import read_json, write_text
from src.image_models.save import read_classes
from src.images.preprocess import Preprocessing
from src.images.processors import FILE_NAME, TAG_LIST, is_timm, timm_processor

if TYPE_CHECKING:
    import torch

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
_PLACES = {"checkpoint_path", "cache_dir", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"}
_LARGEST = 1_000_000  # number in a config.json, of layers, classes, or whatever takes memory


def from_pretrained(folder: Path, name: str, **options: Any) -> Any:
    """transformers' image classifier of a folder, in 32 bits."""
    import torch
    import transformers
    from transformers.utils.import_utils import is_timm_available

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if is_timm(folder) and not is_timm_available():
        raise MissingExtra("timm", "this model")
    with loading(f"the image classifier {name!r}"):
        _check_config(folder)
        return transformers.AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **options
        )


def _check_config(folder: Path) -> None:
    """Raise ValueError if config.json holds a number that no image model has, or names a file.

    timm takes places of weights among its models' arguments, and in front of their names.
    """
    parts: list[Any] = [config := read_json(folder / "config.json")]
    places = _PLACES & (config.get("model_args") or {}).keys()
    if places or ":" in str(config.get("architecture", "")):
        raise ValueError(f"config.json names other weights: {[*places, config['architecture']]}")
    while parts:
        part = parts.pop()
        if isinstance(part, (dict, list)):
            parts += part.values() if isinstance(part, dict) else part
        elif isinstance(part, (int, float)) and abs(part) > _LARGEST:
            raise ValueError(f"config.json holds a number of {part}")


def load_classifier(
    folder: Path,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    *,
    name: str,
    problem_type: str = SINGLE_LABEL,
) -> tuple[Any, str]:
    """A model whose head gives one value for each class, in this order, and that head's name.

    What the head already knows by the same class names is kept; the rest of it starts from zero.
    """
    model, loading = from_pretrained(
        folder,
        name,
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={label: index for index, label in enumerate(classes)},
        problem_type=problem_type,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    head_name = find_head(model, preprocessing, name)
    changed = [*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])]
    lacking = [key for key in changed if not key.startswith(f"{head_name}.")]
    if lacking:
        raise ModelError(
            f"the model {name!r} lacks weights ({len(lacking)} tensors, such as {lacking[0]}): "
            "it is not an image model, or damaged"
        )
    _keep_known_rows(model.get_submodule(head_name), head_name, folder, classes)
    return model, head_name


def _keep_known_rows(head: Any, head_name: str, folder: Path, classes: Sequence[str]) -> None:
    import torch
    import transformers

    if (folder / TAG_LIST).is_file():
        known = read_classes(folder)
    else:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        known = [str(config.id2label[index]) for index in range(config.num_labels)]
    if known == list(classes):
        return
    shared = [(row, known.index(label)) for row, label in enumerate(classes) if label in known]
    old = from_pretrained(folder, str(folder)).get_submodule(head_name) if shared else head
    with torch.no_grad():
        for key, values in head.named_parameters():
            values.zero_()
            for row, before in shared:
                values[row] = old.get_parameter(key)[before]


def find_head(model: "torch.nn.Module", preprocessing: Preprocessing, name: str) -> str:
    """The name, inside the model, of the linear layer that makes the logits.

    If several layers have the right size, the model is run once to see which of them it is.
    """
    import torch

    count: Any = model.config.num_labels  # type: ignore[union-attr]
    fitting: dict[str, torch.nn.Linear] = {
        key: layer
        for key, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == count
    }
    if len(fitting) == 1:
        return next(iter(fitting))
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, output, key=key: outputs.update({key: output}))
        for key, layer in fitting.items()
    ]
    try:
        logits = run_on_noise(model, *input_size(preprocessing))
    finally:
        for hook in hooks:
            hook.remove()
    for key, output in outputs.items():
        if output.shape == logits.shape and torch.equal(output, logits):
            return key
    raise no_linear_head(model, name)


def no_linear_head(model: Any, name: str) -> ModelError:
    return ModelError(
        f"{name!r} ({type(model).__name__}) does not end in one linear layer, and is not "
        "supported: choose another model"
    )


def run_on_noise(model: Any, height: int, width: int) -> "torch.Tensor":
    import torch

    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits: torch.Tensor = model(pixel_values=noise.to(model.device)).logits
    finally:
        model.train(training)
    return logits


def input_size(preprocessing: Preprocessing) -> tuple[int, int]:
    """(height, width) in pixels of what the model is given."""
    if preprocessing.crop is not None:
        return preprocessing.crop
    if isinstance(preprocessing.resize, tuple):
        return preprocessing.resize
    raise ModelError(
        "the model's image processor neither crops nor squeezes images to one size, and is not "
        "supported: choose another model"
    )


def with_image_size(source: Path, size: int, target: Path) -> Path:
    """Write a model's preprocessing for squares of another size into a folder; returns that."""
    try:
        config = timm_processor(source) or read_json(source / FILE_NAME)
    except (OSError, ValueError):
        raise ModelError(f"{source / FILE_NAME} cannot be read") from None
    cut = config.get("crop_size") or config.get("size")
    named = cut if isinstance(cut, dict) else {"height": cut}
    before = named.get("height") or named.get("shortest_edge")
    if not before:
        raise ModelError(f"{source / FILE_NAME} names no image size: image_sizes cannot be used")
    for key in config.keys() & {"size", "crop_size"}:  # what is cut off keeps its share
        sides = config[key] if isinstance(config[key], dict) else {"": config[key]}
        scaled = {name: side and round(side * size / before) for name, side in sides.items()}
        config[key] = scaled.get("", scaled)
    write_text(target / FILE_NAME, json.dumps(config, indent=2) + "\n")
    return target


def resize_model(model: Any, preprocessing: Preprocessing, name: str) -> Any:
    """A model with the same weights that takes images of this size: often the model itself.

    A vision transformer's position embeddings, one for each patch, are interpolated (Dosovitskiy
    et al., "An image is worth 16x16 words", 2021, section 3.2), and `config.image_size` changes.
    """
    height, width = input_size(preprocessing)
    if _accepts(model, height, width):
        return model
    found = [key for key in model.state_dict() if key.endswith("embeddings.position_embeddings")]
    config = copy.deepcopy(model.config)
    patch = getattr(config, "patch_size", None)
    if len(found) == 1 and isinstance(patch, int) and isinstance(config.image_size, int):
        if height % patch or height != width:
            raise ModelError(
                f"image_sizes: {name!r} takes squares of whole patches of {patch} pixels, "
                f"not {height} x {width}"
            )
        weights = model.state_dict()
        sides = config.image_size // patch, height // patch
        weights[found[0]] = _interpolated(weights[found[0]], *sides)
        config.image_size = height
        resized = type(model)(config)
        resized.load_state_dict(weights)
        resized.train(model.training).to(model.device)
        if _accepts(resized, height, width):
            return resized
    raise ModelError(
        f"{name!r} ({type(model).__name__}) can only be trained at its own image size: "
        "leave image_sizes empty, or choose another model"
    )


def _accepts(model: Any, height: int, width: int) -> bool:
    try:
        run_on_noise(model, height, width)
    except (ValueError, RuntimeError):
        return False
    return True


def _interpolated(positions: "torch.Tensor", side: int, new_side: int) -> "torch.Tensor":
    """(1, p + side², d) to (1, p + new_side², d); the first p, of class tokens, stay."""
    import torch

    first = positions.shape[1] - side**2
    grid = positions[:, first:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, size=(new_side, new_side), mode="bicubic")
    return torch.cat([positions[:, :first], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
