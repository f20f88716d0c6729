"""Names that earlier versions and the first trainer had, and what is called so now."""

import ast
import functools
import importlib.util
from collections.abc import Collection
from pathlib import Path

# Key -> its name now, with a script's name before it if it belongs to the group of that script.
RENAMED = {
    "clip_model": "feature_extractor",
    "max_comparisons": "ab_scorer_goal",
    "existing_tags": "existing",
    "apply_tag_errors": "review_labels.decisions",
    "apply_sureness": "review_labels.at_least",
    "serve_port": "tag_images.port",
}
_PREFIXES = {
    ("score_images", "score_"): (
        *("output", "table", "first", "gallery", "action", "dry_run", "undo", "export", "cuts"),
        *("cut_by", "folders", "into", "xmp_naming"),
    ),
    ("classify_images", "classify_"): (
        *("action", "table", "rank_by", "into", "minimum", "dry_run", "undo"),
    ),
    ("review_labels", "review_"): ("decisions", "at_least", "table", "dry_run", "undo"),
    ("tag_images", "tag_"): ("action", "backend", "threshold", "top_k", "probabilities"),
    ("find_duplicates", "duplicates_"): ("output", "similarity"),
}
for (_script, _prefix), _keys in _PREFIXES.items():
    RENAMED |= {f"{_prefix}{_key}": f"{_script}.{_key}" for _key in _keys}

# Scripts whose dry_run had another name where a file has per_script: dry_run was not theirs.
HAD_OWN_DRY_RUN = ("score_images", "classify_images", "review_labels")

# Of the first trainer, without a meaning now.
GONE = {"ignore_score_zero", "meta_fmt", "ab_analysis_regexes", "use_model_scores_for_stats"}

# The dictionaries of an arguments file, most of them the first trainer's, and whose they are.
PARTS = {
    "args": "",
    "per_script": "",
    "common_args": "",
    "category_training_args": "custom_classifier_training",
    "aesthetic_training_args": "aesthetic_predictor_training",
    "aesthetic_model_args": "aesthetic_predictor_training",
    "aesthetic_ab_args": "aesthetic_ab_scorer",
}

# Names that TrainingArguments had once, and what does the same with the same value.
TRAINING_RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "warmup_ratio": "warmup_steps",  # a value below 1 is a share of all steps
    "no_cuda": "use_cpu",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "push_to_hub_token": "hub_token",
    "push_to_hub_model_id": "hub_model_id",
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}
# Gone: the default does what they did, or something else does with another value.
TRAINING_GONE = {
    *("overwrite_output_dir", "save_safetensors", "logging_dir", "use_mps_device"),
    *("group_by_length", "include_inputs_for_metrics", "adafactor"),
}


@functools.cache
def training_argument_names() -> frozenset[str]:
    """The fields of the installed TrainingArguments; none if transformers is not installed.

    They are read from the source, since importing the class would load torch.
    """
    package = importlib.util.find_spec("transformers")
    if package is None or package.origin is None:
        return frozenset()
    source = Path(package.origin).with_name("training_args.py").read_text(encoding="utf-8")
    return frozenset(
        field.target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments"
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )


def new_training_name(name: str, known: Collection[str]) -> str | None:
    """What a key of training_args is called now; None if it has no effect in this script."""
    new = name if name in known else TRAINING_RENAMED.get(name, name)
    passed_over = TRAINING_GONE | TRAINING_RENAMED.keys() | training_argument_names()
    return None if new not in known and name in passed_over else new
