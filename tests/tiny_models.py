"""Small models with random weights, saved to folders as the hub's models are."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 99,
    "max_position_embeddings": 16,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def clip(folder: Path) -> Path:
    """CLIP with a projection to 24 values."""
    config = transformers.CLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=24)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return _save(folder, transformers.CLIPModel(config), processor)


def siglip(folder: Path) -> Path:
    """SigLIP, whose pooler gives 32 values."""
    config = transformers.SiglipConfig(text_config=_TEXT, vision_config=_VISION)
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    return _save(folder, transformers.SiglipModel(config), processor)


def vit(folder: Path, classes: int = 0) -> Path:
    """ViT, with a classifier for so many classes or bare."""
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32})
    if not classes:
        return _save(folder, transformers.ViTModel(transformers.ViTConfig(**_VISION)), processor)
    config = transformers.ViTConfig(**_VISION, num_labels=classes)
    return _save(folder, transformers.ViTForImageClassification(config), processor)


def dinov2(folder: Path) -> Path:
    """DINOv2, which takes patches of 14."""
    sizes = _VISION | {"image_size": 28, "patch_size": 14}
    processor = _bit_processor()
    return _save(folder, transformers.Dinov2Model(transformers.Dinov2Config(**sizes)), processor)


def convnext(folder: Path, classes: int = 0) -> Path:
    """ConvNeXt, with a classifier for so many classes or bare."""
    sizes: dict[str, Any] = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 24]}
    processor = ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875)
    if not classes:
        model = transformers.ConvNextModel(transformers.ConvNextConfig(**sizes))
        return _save(folder, model, processor)
    config = transformers.ConvNextConfig(**sizes, num_labels=classes)
    return _save(folder, transformers.ConvNextForImageClassification(config), processor)


def efficientnet(folder: Path, classes: int = 2) -> Path:
    """EfficientNet with a classifier, whose batch normalisation has statistics."""
    from transformers.models.efficientnet.image_processing_pil_efficientnet import (
        EfficientNetImageProcessorPil,
    )

    sizes: dict[str, Any] = {
        "width_coefficient": 0.1,
        "depth_coefficient": 0.1,
        "hidden_dim": 128,
        "image_size": 32,
        "num_block_repeats": [1, 1],
        "in_channels": [16, 16],
        "out_channels": [16, 24],
        "kernel_sizes": [3, 3],
        "strides": [1, 2],
        "expand_ratios": [1, 2],
        "depthwise_padding": [],
        "squeeze_expansion_ratio": 0.25,
    }
    config = transformers.EfficientNetConfig(**sizes, num_labels=classes)
    model = transformers.EfficientNetForImageClassification(config)
    size = {"height": 32, "width": 32}
    processor = EfficientNetImageProcessorPil(size=size, do_center_crop=False)
    torch.manual_seed(0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _bit_processor() -> Any:
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    return BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 28, "width": 28})


def _save(folder: Path, model: Any, processor: Any) -> Path:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
