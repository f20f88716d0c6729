"""Loading an image classifier of transformers with a head for the categories at hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import MissingExtra, ModelError
from src.images.preprocess import Preprocessing
from src.images.processors import is_timm

if TYPE_CHECKING:
    import torch

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"


def load_classifier(
    folder: Path,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    *,
    name: str,
    problem_type: str = SINGLE_LABEL,
) -> "tuple[Any, str]":
    """A model whose head gives one value for each class, in this order, and that head's name.

    What the head already knows by the same class names is kept, as when going on from a model of
    one's own; the rest of it starts from zero, and so does the whole head of a model that was
    trained on other classes.

    Args:
        folder: the model's files.
        classes: names of the outputs.
        preprocessing: of the same model.
        name: what to call the model in messages.
        problem_type: SINGLE_LABEL or MULTI_LABEL.

    Raises:
        ModelError: no image classifier, its weights are missing, or it has no linear head.
    """
    import torch
    import transformers

    quieten()
    need_timm(folder)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        known = [str(config.id2label[index]) for index in range(config.num_labels)]
        model, loading = transformers.AutoModelForImageClassification.from_pretrained(
            folder,
            num_labels=len(classes),
            id2label=dict(enumerate(classes)),
            label2id={label: index for index, label in enumerate(classes)},
            problem_type=problem_type,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{name!r} cannot be used as an image classifier: {reason}") from None
    head_name = find_head(model, preprocessing, name)
    changed = [*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])]
    lacking = [key for key in changed if not key.startswith(f"{head_name}.")]
    if lacking:
        raise ModelError(
            f"the model {name!r} lacks weights ({len(lacking)} tensors, such as {lacking[0]}): "
            "it is not an image model, or damaged"
        )
    if known != list(classes):
        old = None
        if set(known) & set(classes):
            own: Any = transformers.AutoModelForImageClassification.from_pretrained(
                folder, trust_remote_code=False
            )
            old = own.get_submodule(head_name)
        _refill(model.get_submodule(head_name), old, known, classes)
    return model, head_name


def find_head(model: "torch.nn.Module", preprocessing: Preprocessing, name: str) -> str:
    """The name, inside the model, of the linear layer that makes the logits.

    If several layers have the right size, the model is run once on noise to see which
    of them makes the logits.

    Raises:
        ModelError: the logits are not made by one linear layer.
    """
    import torch

    count = int(model.config.num_labels)  # type: ignore[union-attr, arg-type]
    fitting: list[str] = [
        layer_name
        for layer_name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == count
    ]
    if len(fitting) == 1:
        return fitting[0]
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        layer.register_forward_hook(
            lambda _module, _inputs, output, layer_name=layer_name: outputs.update(
                {layer_name: output}
            )
        )
        for layer_name, layer in model.named_modules()
        if layer_name in fitting
    ]
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            device = next(model.parameters()).device
            size = input_size(preprocessing)
            noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
            logits = model(pixel_values=noise.to(device)).logits
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for layer_name, output in outputs.items():
        if output.shape == logits.shape and torch.equal(output, logits):
            return layer_name
    raise ModelError(
        f"{name!r} ({type(model).__name__}) does not end in one linear layer, and is not "
        "supported: choose another model"
    )


def input_size(preprocessing: Preprocessing) -> tuple[int, int]:
    """(height, width) in pixels of what the model is given.

    Raises:
        ModelError: it depends on the image, so that images cannot be put into one batch.
    """
    if preprocessing.crop is not None:
        return preprocessing.crop
    if isinstance(preprocessing.resize, tuple):
        return preprocessing.resize
    raise ModelError(
        "the model's image processor neither crops nor squeezes images to one size, and is not "
        "supported: choose another model"
    )


def read_head(folder: Path, head_name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Weight (classes, d) and bias (classes) of a saved head, float32; None if there is none."""
    from safetensors import safe_open

    file = folder / "model.safetensors"
    if not file.is_file():
        return None
    with safe_open(file, framework="np") as tensors:
        names = set(tensors.keys())
        if f"{head_name}.weight" not in names:
            return None
        weight = tensors.get_tensor(f"{head_name}.weight").astype(np.float32)
        if f"{head_name}.bias" not in names:
            return weight, np.zeros(len(weight), np.float32)
        return weight, tensors.get_tensor(f"{head_name}.bias").astype(np.float32)


def need_timm(folder: Path) -> None:
    """Make sure that a model of timm can be loaded."""
    from transformers.utils.import_utils import is_timm_available

    if is_timm(folder) and not is_timm_available():
        raise MissingExtra("timm", "this model")


def quieten() -> None:
    """Keep transformers' progress bars and advice out of the way."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _refill(head: Any, old: Any, known: Sequence[str], classes: Sequence[str]) -> None:
    """Zeros for new classes; the old row for a class that the old head knew by name."""
    import torch

    with torch.no_grad():
        head.weight.zero_()
        if head.bias is not None:
            head.bias.zero_()
        for row, label in enumerate(classes):
            if old is None or label not in known:
                continue
            head.weight[row] = old.weight[known.index(label)]
            if head.bias is not None:
                head.bias[row] = old.bias[known.index(label)]
