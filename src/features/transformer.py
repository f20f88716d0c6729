"""Features from any vision model of transformers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import ModelError, loading
from src.features.extractor import PixelExtractor
from src.features.hub import license_of, resolve_model
from src.features.network_runner import NetworkRunner
from src.images.preprocess import Preprocessing
from src.images.processors import load_preprocessing

if TYPE_CHECKING:
    import torch

VERSION = 1  # of this module's way from image to vector


class TransformerExtractor(PixelExtractor):
    """The pooled output of a vision model, as the model gives it (not scaled to unit length).

    For CLIP and its kin this is the projected image embedding; for SigLIP, DINOv2, MobileNet
    and others the pooler's output; for models without a trained pooler the first token, or the
    mean over positions. The means of chosen hidden states, by their indexes, may be joined to it.
    """

    _run: NetworkRunner

    def __init__(
        self,
        name: str,
        *,
        device: str,
        precision: str = "auto",
        hidden_states: tuple[int, ...] = (),
    ) -> None:
        self.name, self._device, self._precision = name, device, precision
        self._hidden_states = hidden_states
        self._files = resolve_model(name)
        chosen = ",".join(map(str, hidden_states))
        self.identity = f"transformers|{self._files.identity}|hidden={chosen}|v{VERSION}"

    def load(self, images: int = 0) -> None:
        import torch

        self.preprocessing = load_preprocessing(self._files.folder)
        model, self._pooler = _load_vision_model(self._files.folder, self.name)
        # Convolutions are fastest with the channels last; other layers do not mind.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run = NetworkRunner(
            self._features,
            model,
            self.preprocessing,
            device=self._device,
            precision=self._precision,
        )
        if images:
            self._run.choose(self.name, self.identity, images)

    def _features(self, model: "torch.nn.Module", pixels: "torch.Tensor") -> "torch.Tensor":
        """(n, 3, height, width) normalised to (n, d)."""
        import torch

        output = model(pixel_values=pixels, output_hidden_states=bool(self._hidden_states))
        parts = [_pooled(output, self._pooler)]
        for index in self._hidden_states:
            try:
                parts.append(_position_mean(output.hidden_states[index]))
            except IndexError:
                raise ModelError(
                    f"hidden_states {index}: {self.name!r} has {len(output.hidden_states)}, "
                    "counted from 0, or backwards from -1"
                ) from None
        return torch.cat(parts, dim=1)

    def network(self) -> "tuple[torch.nn.Module, Preprocessing]":
        """The loaded model with its normalisation, for export, and what goes before it.

        The module takes what `prepare` gives, as (n, height, width, 3) uint8, to (n, d).
        """
        assert self.preprocessing is not None
        return self._run.network, self.preprocessing

    def describe(self) -> dict[str, Any]:
        return {
            "name": self._files.name,
            "model_type": self._files.model_type,
            "identity": self.identity,
            "hidden_states": list(self._hidden_states),
            "license": license_of(self._files.folder),
        }


def _load_vision_model(folder: Path, name: str) -> "tuple[torch.nn.Module, bool]":
    """The vision part of a model, and whether its pooler has trained weights."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with loading(f"the model {name!r}"):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        options: dict[str, Any] = {"output_loading_info": True, "trust_remote_code": False}
        vision_class: Any = transformers.AutoModel
        if config.model_type in {"clip", "clip_vision_model"}:
            vision_class = transformers.CLIPVisionModelWithProjection
            if config.model_type == "clip":  # which states the size of the projection itself
                options["config"] = config.vision_config
                options["config"].projection_dim = config.projection_dim
        elif config.model_type in {"siglip", "siglip_vision_model"}:
            vision_class = transformers.SiglipVisionModel
        model, info = vision_class.from_pretrained(folder, **options)
    missing = [key for key in info["missing_keys"] if "position_ids" not in key]
    untrained_pooler = [key for key in missing if "pooler" in key]
    if len(untrained_pooler) < len(missing):
        raise ModelError(
            f"the model {name!r} lacks weights ({len(missing)} tensors, such as {missing[0]}): "
            "it is not a vision model, or damaged"
        )
    return model, not untrained_pooler


def _pooled(output: Any, trained_pooler: bool) -> "torch.Tensor":
    embeds: torch.Tensor | None = getattr(output, "image_embeds", None)
    if embeds is not None:
        return embeds
    pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
    if pooled is not None and trained_pooler:
        return pooled.flatten(1)
    last: torch.Tensor = output.last_hidden_state
    return last[:, 0] if last.ndim == 3 else _position_mean(last)


def _position_mean(state: "torch.Tensor") -> "torch.Tensor":
    """(n, tokens, d) or (n, d, height, width) to (n, d)."""
    return state.mean(dim=1) if state.ndim == 3 else state.flatten(2).mean(dim=2)
