"""Keys of the scripts that read or write tag files."""

from typing import Literal

from src.settings import keys
from src.settings.keys import Integers, Pairs, Place, Positive, Share, Words, key

TAG_FORMATS = ("spaces", "underscores", "escaped", "by_category", "by_list")


class TagFiles(keys.Group):
    """How tag files are named and written."""

    tag_files: Literal["image1.jpg.txt", "image1.txt"] = key(
        "image1.jpg.txt", "What the tag file of an image called image1.jpg is called."
    )
    tag_commas: bool = key(
        False, "True: tags are separated by commas, as in 'cat, sofa'; False: one on a line."
    )


class ExistingTags(keys.FileChanges):
    """What becomes of tag files that are there already."""

    existing: Literal["skip", "append", "overwrite"] = key(
        "skip", "Images with a tag file: 'skip' them, 'append' tags, or 'overwrite' the file."
    )


class TagWriting(ExistingTags):
    """Which of a model's tags are written, and how."""

    existing: Literal["skip", "append", "merge", "overwrite"] = key(  # type: ignore[assignment]
        "skip",
        "Images with a tag file: 'skip' them, 'append' tags, 'merge' (append, then spell and order "
        "all tags as below), or 'overwrite' the file.",
    )
    category_thresholds: Pairs = key(
        (),
        "Thresholds of categories, {'general': 0.35, 'character': 0.85}; 'best' instead of a "
        "number: the likeliest tag alone; 'off': none. Others: as threshold says.",
    )
    tag_format: Words = key(
        (),
        "How tags are written: 'spaces' for underscores, or 'underscores' for spaces; 'escaped': "
        r"\( \) for brackets; 'by_category' or 'by_list': in this order, not the likeliest first.",
    )
    first_tags: Words = key(
        (), "What every file begins with; a tag that the model knows, only where it is given."
    )
    replace_tags: Pairs = key(
        (), "Tags to write as others, {'1girl': 'woman', 'solo': ''}; '': leave out."
    )

    def contradictions(self) -> list[str]:
        problems, words = super().contradictions(), set(self.tag_format)
        if unknown := sorted(words - set(TAG_FORMATS)):
            problems.append(f"tag_format {unknown[0]!r} is not one of {', '.join(TAG_FORMATS)}")
        if {"spaces", "underscores"} <= words or {"by_category", "by_list"} <= words:
            problems.append("tag_format takes one spelling of spaces, and one order")
        wrong = [pair for pair in self.replace_tags if not pair.rpartition("=")[0].strip()]
        return problems + [
            f"replace_tags: {pair!r} must be of the form 'old=new'" for pair in wrong
        ]


class TagTraining(TagFiles):
    """What custom_classifier_training reads with label_source 'tags'."""

    tag_source: Place = key(
        "", "'' for tag files, a table path,tags[,split] (.csv), or a Danbooru-style SQLite file."
    )
    tag_min_count: Positive = key(1, "Leave out tags that are on fewer images than this.")
    tag_list: Place = key("", "A selected_tags.csv: learn its tags, in its order; '' for all tags.")
    split_by_id: str = key(
        "",
        "Ranges of the image id (the file name's number) modulo 1000 for validation and testing, "
        "such as '900-949,950-999'; '': drawn at random, by the fractions.",
    )
    tag_loss: Literal["bce", "focal", "asl"] = key(
        "bce", "What is minimised: binary cross-entropy, focal loss, asymmetric loss."
    )
    focal_alpha: Share = key(0.25, "Focal loss: weight of the tags that are present.")
    focal_gamma: float = key(2.0, "Focal loss: the higher, the less easy decisions count.", ge=0)
    asl_gamma_neg: float = key(
        0.0, "Asymmetric loss: the higher, the less easy absent tags count; often 4.", ge=0
    )
    asl_gamma_pos: float = key(0.0, "The same for present tags; 0 or 1.", ge=0)
    asl_clip: float = key(
        0.0, "Asymmetric loss: absent tags less probable than this do not count.", ge=0, lt=1
    )
    tag_head_epochs: Positive = key(30, "With train_backbone False: epochs of training.")
    tag_head_learning_rate: float = key(
        1e-2, "With train_backbone False: highest step size of the optimiser.", gt=0
    )
    image_sizes: Integers = key(
        (), "With train_backbone True: sides in pixels to train at in turn: [320, 384]."
    )
    threshold_scope: Literal["global", "category", "tag"] = key(
        "global", "What gets a threshold: all tags together, each category, or each tag."
    )
    threshold_min_support: Positive = key(
        20,
        "Validation images a tag needs for its own threshold; rarer ones use their category's.",
    )
    tag_ranks: Integers = key(
        (), "Also report on the tags from these popularity ranks down: [1000]; []: the rarer half."
    )
    export_onnx: bool = key(False, "True: write model.onnx as well, for use without torch.")
