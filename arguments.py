"""Settings of all scripts. Edit the values, then run a script; nothing else needs to be changed.

    python run.py aesthetic_ab_scorer              rate images by choosing between two
    python run.py aesthetic_predictor_training     train a model of your taste on the ratings
    python run.py aesthetic_score_from_model       give images without a rating the model's score

`python run.py SCRIPT --help` lists every key that a script reads. On the command line,
--key=value goes before the value here: --test_pick_seed=7 --training_args.learning_rate=2e-4.
"""

args = {
    # ---------------------------------------------------------------------------- your images
    # The folder that holds your images, with any folders inside it. On Windows write
    # "C:/Users/me/Pictures" or "C:\\Users\\me\\Pictures".
    "top_level_image_directory": "demo/images",
    # True: scores come from score.json (which the A/B window writes) or scores.csv; without
    # either, from the names of the folders, which are then whole numbers: 1, 2, 3 ...
    # False: always from the names of the folders. Or the name of a score file.
    "use_score_file": True,
    # ---------------------------------------------------------------------------- what to do
    # Joined by commas: "train", "evaluate" (without "train": measure load_model), "meta" (search
    # for the best training settings), "spotlight" (look at the results in the Spotlight browser).
    "mode": "train,evaluate",
    # ---------------------------------------------------------------------------- models
    # The model's folder: where training puts it, and where load_model takes it from to go on.
    "save_model": "models/my_model",
    "load_model": "",
    # Where training starts. "auto": the published aesthetic head where it fits the features,
    # otherwise from scratch. Or a file, "models/sac+logos+ava1-l14-linearMSE.safetensors", or
    # "" for from scratch.
    "base_model": "auto",
    # What describes an image in numbers. "ViT-L/14" is CLIP's best-known model: 1.7 GB, fetched
    # once; minutes for 1,000 images on a GPU, about 20 on a processor alone. "ViT-B/32" takes a
    # tenth of that. "builtin" needs no download and does 60 images or more in a second; it sees
    # colour, light, sharpness and layout, but not what is in the picture. Any vision model of
    # transformers will do, by its name on the hub ("facebook/dinov2-base",
    # "google/siglip-base-patch16-224") or as a folder; join several with "+".
    "feature_extractor": "ViT-L/14",
    "hidden_states": [],  # hidden layers whose mean joins the output: [-2] is the last but one
    "feature_store": "",  # a folder to keep features in; "": beside the images
    "device": "auto",  # auto, cpu, cuda, cuda:1, mps (Apple)
    # ---------------------------------------------------------------------------- testing
    # This share of the images is kept back, to see how good the model is on images it has never
    # seen; the seed picks which. Copies of an image are always on the same side.
    "fraction_for_test": 0.25,
    "test_pick_seed": 42,
    # ---------------------------------------------------------------------------- training
    # "ranking": learn which of two images is better. "mse": learn the scores themselves.
    "loss_model": "ranking",
    "aesthetic_model_dropouts": [0.2, 0.2, 0.1],
    "aesthetic_model_relu": False,
    "eval_every_n_epochs": 10,  # 0: only at the end
    # With mode "meta", every combination of these is tried and written to meta.txt.
    "meta_epochs": [50, 100, 200],
    "meta_lr": [5e-5, 1e-4, 2e-4],
    "meta_batch": [4, 8, 16],
}

# How the model is trained, with the names and meanings of transformers' TrainingArguments.
training_args = {
    "num_train_epochs": 100,
    "learning_rate": 1e-4,
    "lr_scheduler_type": "linear",  # or "cosine", "constant", "constant_with_warmup"
    "warmup_ratio": 0.0,
    "per_device_train_batch_size": 8,  # even, with loss_model "ranking"
    "weight_decay": 0.0,
    "seed": 42,
}

# How results are measured and shown.
evaluation_args = {
    "per_device_eval_batch_size": 32,  # images in one pass through the feature extractor
    "bootstrap_samples": 1000,  # behind the 95 % intervals
    "report_images": 12,  # thumbnails in each row of report.html
}

# Settings for one script only; they go before those above.
per_script: dict[str, dict[str, object]] = {}
