"""The settings of tag_images.py."""

from typing import ClassVar, Literal

from pydantic import Field

from src.settings.keys import Device, ImageFolder, InferenceArgs, ScriptSettings
from src.settings.tags import ExistingTags, TagFiles


class TagImages(ScriptSettings, ImageFolder, Device, TagFiles, ExistingTags):
    """Let a trained model write the tag files of any folder of images."""

    script: ClassVar[str] = "tag_images"

    load_model: str = Field(
        "", description="The folder of the tagging model that custom_classifier_training saved."
    )
    tag_action: Literal["tag", "list", "serve", "export"] = Field(
        "tag",
        description="'tag': write tag files. 'list': show the tags that the model knows. 'serve': "
        "a page in the browser that tags what is dropped on it. 'export': write model.onnx.",
    )
    tag_backend: Literal["auto", "onnx", "torch"] = Field(
        "auto", description="'auto': model.onnx if there is one, otherwise the weights on torch."
    )
    whitelist: str = Field(
        "whitelist.txt",
        description="A file of the tags that may be given, one on a line; not used if there is "
        "no such file.",
    )
    blacklist: str = Field("", description="A file of tags that are never given; '' for none.")
    threshold_scope: Literal["global", "category", "tag"] = Field(
        "global", description="Which of the model's thresholds count."
    )
    tag_threshold: float = Field(
        0.0, ge=0, le=1, description="One threshold instead of the model's own; 0 for those."
    )
    tag_top_k: int = Field(
        0, ge=0, description="The so many likeliest tags for each image instead; 0: by threshold."
    )
    tag_probabilities: str = Field(
        "", description="Write every tag's probability to this CSV table; '' for none."
    )
    serve_port: int = Field(
        8765, ge=0, le=65535, description="Port on 127.0.0.1 for 'serve'; 0 takes a free one."
    )
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)
