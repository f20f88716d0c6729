"""Keys of the scripts that read or write tag files."""

from typing import Literal

from pydantic import Field

from src.settings.keys import FileChanges, Group, Integers


class TagFiles(Group):
    """How tag files are named and written."""

    tag_files: Literal["image1.jpg.txt", "image1.txt"] = Field(
        "image1.jpg.txt", description="What the tag file of an image called image1.jpg is called."
    )
    tag_commas: bool = Field(
        False,
        description="True: tags are separated by commas, as in 'cat, sofa'; False: one on a line.",
    )


class ExistingTags(FileChanges):
    """What becomes of tag files that are there already."""

    existing: Literal["skip", "append", "overwrite"] = Field(
        "skip",
        description="Images that have a tag file: 'skip' leaves it as it is, 'append' adds the "
        "tags that it lacks, 'overwrite' replaces it.",
    )


class TagTraining(TagFiles):
    """What custom_classifier_training reads with label_source 'tags'."""

    tag_source: str = Field(
        "",
        description="Where the tags are: '' for tag files, or a table path,tags[,split] (.csv), or "
        "a Danbooru-style SQLite file.",
    )
    tag_min_count: int = Field(
        1, ge=1, description="Leave out tags that are on fewer images than this."
    )
    tag_list: str = Field(
        "", description="A selected_tags.csv: learn its tags, in its order; '' for all tags."
    )
    split_by_id: str = Field(
        "",
        description="Ranges of the image id (the file name's number) modulo 1000 for validation "
        "and testing, such as '900-949,950-999'; '' draws by the fractions.",
    )
    tag_loss: Literal["bce", "focal", "asl"] = Field(
        "bce", description="What is minimised: binary cross-entropy, focal loss, asymmetric loss."
    )
    focal_alpha: float = Field(0.25, ge=0, le=1, description="Weight of present tags in focal.")
    focal_gamma: float = Field(2.0, ge=0, description="How little easy decisions count in focal.")
    asl_gamma_neg: float = Field(
        0.0, ge=0, description="How little easy absent tags count in asl; 4 in its paper."
    )
    asl_gamma_pos: float = Field(0.0, ge=0, description="The same for present tags; 0 or 1.")
    asl_clip: float = Field(
        0.0, ge=0, lt=1, description="Absent tags less probable than this do not count in asl."
    )
    tag_head_epochs: int = Field(
        30, ge=1, description="With train_backbone False: passes through the training images."
    )
    tag_head_learning_rate: float = Field(
        1e-2, gt=0, description="With train_backbone False: highest step size of the optimiser."
    )
    image_sizes: Integers = Field(
        (),
        description="With train_backbone True: sides in pixels to train at, one after the other, "
        "each for all epochs: [320, 384]; [] for the model's own.",
    )
    threshold_scope: Literal["global", "category", "tag"] = Field(
        "global",
        description="Where precision is made equal to recall: over all tags, over each category, "
        "or for each tag.",
    )
    threshold_min_support: int = Field(
        20,
        ge=1,
        description="Validation images that a tag's own threshold takes; rarer tags use their "
        "category's.",
    )
    tag_ranks: Integers = Field(
        (),
        description="Also report on the tags from these ranks down, by popularity: [1000]; [] for "
        "the rarer half.",
    )
    export_onnx: bool = Field(
        False, description="True: write model.onnx as well, for use without torch."
    )
