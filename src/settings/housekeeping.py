"""The settings of the scripts that look after a folder of images, its labels and features."""

from src.settings import keys
from src.settings.keys import Place, Share, key
from src.settings.tags import ExistingTags, TagFiles


class PrepareTags(keys.ScriptSettings, TagFiles, ExistingTags):
    """Make and check the tag files of a folder of images."""

    script = "prepare_tags"
    essentials = (
        *("tags_to_write", "tags_from_folders", "existing", "tag_files", "tag_commas"),
        *("dry_run", "undo", "write_tag_list", "convert_env"),
    )

    tags_to_write: str = key("", "Tags for every image, separated by commas: 'cat, indoors'.")
    tags_from_folders: bool = key(False, "True: tag each image with the names of its folders.")
    write_tag_list: Place = key(
        "", "Write all tags with their counts to this file (selected_tags.csv); '': none."
    )
    convert_env: Place = key(
        "", "A multitag-trainer .env: make an arguments file of it, and do nothing else."
    )

    @property
    def needs_images(self) -> bool:
        return not (self.undo or self.convert_env)


class ReviewLabels(keys.ScriptSettings, keys.KeepDelete, TagFiles, keys.FileChanges):
    """Correct labels that you found wrong on the page suspects.html of a model."""

    script = "review_labels"
    essentials = ("decisions", "at_least", "table", "dry_run", "undo")

    decisions: Place = key("", "suspected_labels.csv with your decisions, as the page saved it.")
    at_least: Share = key(
        0.0, "Also change labels you did not decide on whose surprise is at least this; 0: none."
    )
    table: str = key(
        "", "The table of labels in the image folder, if they come from one; '': move images."
    )

    @property
    def needs_images(self) -> bool:
        return bool(self.decisions) and not self.undo


class FindDuplicates(keys.ScriptSettings, keys.FeatureStore, keys.KeepDelete):
    """Find images that are there more than once, or look alike; nothing is changed."""

    script = "find_duplicates"
    essentials = ("output", "similarity")

    output: Place = key(
        "duplicates",
        "The folder for duplicates.csv and .html; 'duplicates': one in it for each image folder.",
        min_length=1,
    )
    similarity: float = key(
        0.9,
        "Images whose features have this cosine or more look alike, too, where a vision model's "
        "features of them have been computed; 1: compare the pixels alone.",
        gt=0,
        le=1,
    )


class PruneFeatures(keys.ScriptSettings, keys.FeatureStore):
    """Delete computed features of images that are no longer there."""

    script = "prune_features"
    essentials = ("feature_store",)
