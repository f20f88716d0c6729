"""Settings of all scripts. Edit the values, save, and run a script: python run.py SCRIPT

`python run.py SCRIPT --help` shows the settings of a script and their present values; --key=value
on the command line replaces one for a single run. docs/settings.md describes all settings, also
those that are not in this file because their default values are good.
"""

args = {
    # ---- start here ------------------------------------------------------------------------
    # The folder of your images, with any folders inside it: "C:/Users/me/Pictures", "~/Pictures".
    "top_level_image_directory": "demo/images",
    # What describes an image in numbers. "ViT-L/14" is the best-known CLIP model: 1.7 GB to
    # download once; 1,000 images take 3 to 11 minutes without a GPU. "ViT-B/32" needs a
    # tenth of that time. "builtin" needs no download and takes seconds, but knows only colour,
    # light, sharpness and layout. Or any vision model of the Hugging Face hub; several with "+".
    "feature_extractor": "ViT-L/14",
    "save_model": "models/my_model",  # the folder that the trained model and its report go to
    "load_model": "",  # the folder of a trained model, to use it or to train it further
    # What training does: "train", "evaluate", "meta" (searches training settings), "spotlight".
    "mode": "train,evaluate",
    # True: scores from score.json (of the rating window) or scores.csv if there is one, otherwise
    # from folders named 1, 2, 3 ... False: from the folders. Or the name of a score file.
    "use_score_file": True,
    # ---- the rating window -----------------------------------------------------------------
    "ab_scorer_size": 600,  # its height in pixels
    "ab_scorer_goal": 100,  # choices that one session aims at
    "ab_scorer_images": 2,  # images on the screen: 2, or 4 to choose the best (and the worst) of
    # ---- training a model of your taste ----------------------------------------------------
    # Where training starts: "auto" (the published aesthetic head if it fits the features), "" for
    # from scratch, or a model: "models/sac+logos+ava1-l14-linearMSE.safetensors".
    "base_model": "auto",
    # What turns these numbers into a score: "auto" tries small networks, "ridge" and "kernel", in
    # seconds; "pairwise" learns from your choices themselves; "mlp" is the network of the
    # published heads, trained as training_args say.
    "head": "auto",
    # "ranking": learn which of two images is better. "mse": learn the scores. "bce": learn which
    # images you keep, from folders called "keep" and "delete" (see keep_folders, delete_folders).
    "loss_model": "ranking",
    "aesthetic_model_hidden": [1024, 128, 64, 16],  # head "mlp": units in its hidden layers
    "aesthetic_model_dropouts": [0.2, 0.2, 0.1],  # head "mlp": dropout after these layers
    "aesthetic_model_relu": False,  # head "mlp": True puts a ReLU after each hidden layer
    "eval_every_n_epochs": 10,  # head "mlp": epochs between measurements; 0: never
    "text_features": False,  # True: what the file names say counts as well
    "meta_epochs": [50, 100, 200],  # mode "meta" tries every combination of these three,
    "meta_lr": [5e-5, 1e-4, 2e-4],  # the learning rates,
    "meta_batch": [4, 8, 16],  # the batch sizes, and lists of other values (docs/meta-search.md)
    # ---- every training --------------------------------------------------------------------
    "fraction_for_test": 0.25,  # the share of the images that only test the model
    "test_pick_seed": 42,  # another number picks other test images
    "device": "auto",  # what computes: "auto", "cpu", "cuda", "cuda:1", "mps" (Apple)
    "feature_store": "",  # a folder for computed features; "": beside the images
    # ---- a group for each script; what is set here is for that script alone ----------------------
    # Scripts that change files only say what they would do until dry_run is False; then they print
    # the command that undoes it. Images are never deleted or overwritten.
    "score_images": {
        "output": "scored",  # the folder for the table and the gallery
        "first": "best",  # or "worst": what you would rather delete comes first
        # What else happens: "table" (nothing), "touch" (modification times in the order of the
        # scores), "xmp" (stars for photo programs), or "copy", "move", "link" into folders.
        "action": "table",
        "cuts": [0.1, 0.35, 0.65, 0.9],  # where the scores are cut into stars or folders
        "cut_by": "quantile",  # cuts are shares; or "score", "percentile", "probability"
        "folders": ["1", "2", "3", "4", "5"],  # from the lowest; "": these images stay
        "into": "",  # where these folders are made
        "dry_run": True,
    },
    "custom_classifier_training": {
        # "folders": one category for each image, named by its folder. "tags": any number of tags
        # for each image, from text files beside them.
        "label_source": "folders",
        # Any image model of the Hugging Face hub: "google/efficientnet-b0",
        # "facebook/convnextv2-tiny-22k-224", "microsoft/swinv2-tiny-patch4-window8-256" ...
        "base_model": "google/vit-base-patch16-224-in21k",
        "save_model": "models/my_classifier",
        # False: train the last layer alone, in seconds. True: train the whole model: better with
        # thousands of images, minutes on a GPU, hours without. Then training_args count as well.
        "train_backbone": False,
        "augment": "light",  # how images are varied with train_backbone: "off", "light", "strong"
        "weight_category_loss": False,  # True: rare categories weigh as much as common ones
        "eval_every_n_epochs": 1,
        "training_args": {  # every name of transformers' TrainingArguments works here
            "num_train_epochs": 10,
            "learning_rate": 5e-5,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 0.1,  # below 1: a share of all steps
            "per_device_train_batch_size": 16,
            "gradient_accumulation_steps": 1,  # 2: as if the batch were twice as large
            "weight_decay": 0.01,
        },
    },
    "classify_images": {
        "action": "table",  # only a table; or "copy", "move", "link" into a folder each
        "into": "",  # where the folders of the categories are made
        "minimum": 0.0,  # images with a less probable category stay where they are
        "dry_run": True,
    },
    "tag_images": {
        "existing": "skip",  # images that have tags; or "append" to these, or "overwrite" them
        "dry_run": True,
    },
    "prepare_tags": {
        "tags_from_folders": False,  # True: tag each image with the names of its folders
        "dry_run": True,
    },
    "review_labels": {
        "decisions": "",  # suspected_labels.csv, as the page suspects.html saved it
        "dry_run": True,
    },
}

# How head "mlp" is trained, with the names and meanings of transformers' TrainingArguments.
training_args = {
    "num_train_epochs": 100,
    "learning_rate": 1e-4,
    "lr_scheduler_type": "linear",  # or "cosine", "constant", "constant_with_warmup"
    "warmup_steps": 0,  # steps in which the learning rate rises at the start
    "per_device_train_batch_size": 8,  # even, with loss_model "ranking"
    "weight_decay": 0.0,
    "seed": 42,
}

# How results are measured and shown.
evaluation_args = {
    "per_device_eval_batch_size": 32,  # images in one pass through a model
    "bootstrap_samples": 1000,  # behind the 95% intervals
    "report_images": 12,  # thumbnails in each row of report.html
}
