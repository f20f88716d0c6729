"""File names as features: what a name says about an image, beside what the image shows."""

import re
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from src.devices import choose_device
from src.errors import loading
from src.features.extractor import FileNameExtractor
from src.features.hub import ModelFiles, resolve_model

PREFIX = "text:"
VERSION = 1  # of the cleaning and the hashing
SIZE = 256  # of hashed features
_GRAMS = (3, 4, 5)
_BATCH = 64
_CASE = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])")
_PARTS = re.compile(r"[^\W\d_]+")
_WITH_TEXT_SIDE = ("clip", "siglip")  # types of model that embed texts as well as images


def clean(path: str) -> str:
    """The words of a file name, in lower case; counters, dates and hexadecimal names are dropped.

    "trip/IMG_2041 BeachSunset-final(2).jpg" becomes "img beach sunset final".
    """
    stem = PurePosixPath(path).stem
    if re.fullmatch(r"[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", stem):
        return ""
    return " ".join(_PARTS.findall(_CASE.sub(" ", stem))).lower()


class HashedNames(FileNameExtractor):
    """Counts of the character n-grams of a name, hashed into `SIZE` places, of unit length.

    Weinberger et al., "Feature hashing for large scale multitask learning", 2009.
    """

    name = f"{PREFIX}builtin"
    identity = f"text|hashed|v{VERSION}"

    def features(self, paths: Sequence[str]) -> np.ndarray:
        texts = [clean(path) for path in paths]
        table = np.zeros((len(texts), SIZE), np.float32)
        for row, text in zip(table, texts, strict=True):
            padded = "".join(f" {word} " for word in text.split())
            for length in _GRAMS:
                for start in range(len(padded) - length + 1):
                    code = zlib.crc32(padded[start : start + length].encode())
                    row[code % SIZE] += 1 if code & 0x80000000 else -1
            row /= np.linalg.norm(row) or 1.0
        return table


class EmbeddedNames(FileNameExtractor):
    """The text embedding of CLIP or SigLIP, from the model that embeds the images."""

    def __init__(self, files: ModelFiles, *, device: str) -> None:
        self._files, self._device_name = files, device
        self.name = PREFIX + files.name
        self.identity = f"text|{files.identity}|v{VERSION}"

    def load(self, images: int = 0) -> None:
        import transformers

        kind: Any = transformers.SiglipTextModel
        if self._files.model_type == "clip":
            kind = transformers.CLIPTextModelWithProjection
        tokenizers: Any = transformers.AutoTokenizer
        folder = self._files.folder
        with loading(f"the text side of {self.name!r}"):
            self._tokenizer = tokenizers.from_pretrained(folder, trust_remote_code=False)
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            text = config.text_config
            text.projection_dim = getattr(config, "projection_dim", None) or text.hidden_size
            self._model = kind.from_pretrained(folder, config=text).eval()
        self._longest = int(text.max_position_embeddings)
        self._device = choose_device(self._device_name)
        self._model.to(self._device)

    def features(self, paths: Sequence[str]) -> np.ndarray:
        import torch

        self.load()
        texts, place = np.unique([clean(path) for path in paths], return_inverse=True)
        parts = []
        for start in range(0, len(texts), _BATCH):
            # SigLIP was trained with padding to the full length; CLIP does not mind it.
            tokens = self._tokenizer(
                texts[start : start + _BATCH].tolist(), padding="max_length", truncation=True,
                max_length=self._longest, return_tensors="pt",
            ).to(self._device)  # fmt: skip
            with torch.inference_mode():
                output = self._model(**tokens)
            vectors = output.text_embeds if "text_embeds" in output else output.pooler_output
            parts.append(vectors.float().cpu().numpy())
        return np.concatenate(parts)[place]


def open_file_names(name: str, *, device: str) -> FileNameExtractor:
    """The extractor of file names that goes with an image extractor: "text:" and its name.

    Where that has no text side, names are hashed.
    """
    partner = name.removeprefix(PREFIX)
    if partner != "builtin" and not partner.startswith("clip:"):
        files = resolve_model(partner)
        if files.model_type in _WITH_TEXT_SIDE:
            return EmbeddedNames(files, device=device)
    return HashedNames()
