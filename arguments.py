"""Settings of all scripts. Edit the values, then run a script; nothing else needs to be changed.

    python run.py aesthetic_ab_scorer              rate images by choosing between two
    python run.py aesthetic_predictor_training     train a model of your taste on the ratings
    python run.py aesthetic_score_from_model       give images without a rating the model's score
    python run.py score_images                     score any folder, look at it, sort it
    python run.py find_duplicates                  images that are there twice, or look alike
    python run.py review_labels                    put wrong labels of kept and deleted right
    python run.py custom_classifier_training       train a classifier on folders of images
    python run.py classify_images                  let a trained classifier sort any folder
    python run.py prepare_tags                     make and check the tag files of your images
    python run.py tag_images                       let a trained model write tag files
    python run.py prune_features                   forget features of images that are gone

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
    # ---------------------------------------------------------------------------- the A/B window
    "ab_scorer_size": 600,  # the height of the window on the screen
    "ab_scorer_goal": 100,  # comparisons that one session aims at
    # How choices become scores. "posterior": Bayesian, helped by what the images look like; needs
    # a third of the clicks. "elo": the classic rule.
    "ab_scorer_method": "posterior",
    # Which pairs are shown: "active" (those that tell most), "least_shown" or "random".
    "ab_scorer_selection": "active",
    # ---------------------------------------------------------------------------- what to do
    # Joined by commas: "train", "evaluate" (without "train": measure load_model), "meta" (search
    # for the best training settings), "spotlight" (look at the results in the Spotlight browser).
    "mode": "train,evaluate",
    # ---------------------------------------------------------------------------- models
    # The model's folder: where training puts it, and where load_model takes it from to go on.
    "save_model": "models/my_model",
    "load_model": "",
    # Where training starts. "auto": the published aesthetic head where it fits the features
    # (CLIP ViT-L/14), otherwise from scratch. Or a file, such as
    # "models/sac+logos+ava1-l14-linearMSE.safetensors", or the folder of a model, or "" for from
    # scratch.
    "base_model": "auto",
    # What describes an image in numbers. "ViT-L/14" is CLIP's best-known model: 1.7 GB, fetched
    # once; minutes for 1,000 images on a GPU, about 20 on a processor alone. "ViT-B/32" takes a
    # tenth of that. "builtin" needs no download and does 60 images or more in a second; it sees
    # colour, light, sharpness and layout, but not what is in the picture. Any vision model of
    # transformers will do, by its name on the hub ("facebook/dinov2-base",
    # "google/siglip-base-patch16-224") or as a folder; join several with "+".
    "feature_extractor": "ViT-L/14",
    "hidden_states": [],  # hidden layers whose mean joins the output: [-2] is the last but one
    # True: what the file names say counts as well; worth it where they describe the images.
    "text_features": False,
    "feature_store": "",  # a folder to keep features in; "": beside the images
    "device": "auto",  # auto, cpu, cuda, cuda:1, mps (Apple)
    # ---------------------------------------------------------------------------- testing
    # This share of the images is kept back, to see how good the model is on images it has never
    # seen; the seed picks which. Copies of an image are always on the same side.
    "fraction_for_test": 0.25,
    "test_pick_seed": 42,
    # ---------------------------------------------------------------------------- training
    # What turns the numbers of an image into a score. "auto" tries small networks, "ridge"
    # (linear) and "kernel" (curved) on parts of the training images: seconds. "pairwise"
    # learns from your choices in the A/B window themselves. "mlp" is the network of the published
    # heads, trained as training_args say; its own settings follow below.
    "head": "auto",
    # "ranking": learn which of two images is better. "mse": learn the scores themselves. "bce":
    # learn which images you keep, with any head but "pairwise", from folders of these names, or
    # from a table of ones and zeros that use_score_file names.
    "loss_model": "ranking",
    "keep_folders": ["keep", "accepted"],
    "delete_folders": ["delete", "rejected"],
    # The mlp: units in its hidden layers, dropout after the first of them, ReLUs between them,
    # features standardised before. What did best on photographs: docs/heads.md, "Small networks".
    "aesthetic_model_hidden": [1024, 128, 64, 16],
    "aesthetic_model_dropouts": [0.2, 0.2, 0.1],
    "aesthetic_model_relu": False,
    "aesthetic_model_standardise": False,
    "mlp_members": 1,  # 5: so many mlps, each trained without a fifth of the images; their mean
    "eval_every_n_epochs": 10,  # 0: only at the end
    # With mode "meta", every combination of these is tried and written to meta.txt; the best is
    # trained and saved. The settings of the mlp above, head, loss_model and most training_args may
    # be lists of values as well then (docs/meta-search.md):
    #   "loss_model": ["ranking", "mse"], "aesthetic_model_dropouts": [[0.2, 0.2, 0.1], []],
    "meta_epochs": [50, 100, 200],
    "meta_lr": [5e-5, 1e-4, 2e-4],
    "meta_batch": [4, 8, 16],
    # "grid": every combination. "optuna": meta_trials combinations between the smallest and the
    # largest value of each list; poor ones are stopped early. Trials are kept in a database, so
    # that a search can go on; several machines may share one: "postgresql://user@host/name".
    "meta_search": "grid",
    "meta_trials": 50,
    "meta_storage": "sqlite:///meta.db",
    # ---------------------------------------------------------------------------- score_images
    # A table (its ending says how: .csv, .json, .parquet) and gallery.html are written here.
    "score_output": "scored",
    "score_table": "scores.csv",
    "score_first": "best",  # or "worst": those that you would rather delete come first
    "score_gallery": "thumbnails",  # or "images" (shows the images themselves), or "off"
    # What else happens. "touch": modification times in the order of the scores, so that every
    # image viewer can sort by them. "xmp": stars in sidecar files, for photo programs.
    # "copy", "move" or "link" puts the images into folders by their scores. Nothing is ever
    # deleted or overwritten.
    "score_action": "table",  # nothing else
    "score_dry_run": True,  # only say what would be done; False: do it, and write an undo file
    "score_undo": "",  # an undo file, to undo everything in it
    "score_export": "",  # a folder for a light copy of the model, which runs without torch
    # Steps for stars and folders. By "quantile" the cuts are shares of the folder's images: the
    # lowest tenth gets one star. Or by "score", "percentile" (of training) or "probability".
    "score_cuts": [0.1, 0.35, 0.65, 0.9],
    "score_cut_by": "quantile",
    "score_folders": ["1", "2", "3", "4", "5"],  # from the lowest; "": these images stay
    "score_into": "",  # where these folders are made
    "score_xmp_naming": "image.xmp",  # Adobe programs; "image.jpg.xmp": digiKam, darktable
    # "ray": many processes, here or on a cluster (ray_address: "auto", "HOST:6379").
    "engine": "local",
    "ray_address": "",  # "": a cluster on this computer, for the time of the run
    "ray_workers": 0,  # 0: one for each GPU, or without GPUs one for each processor
    # --------------------------------------------------------------------------- duplicates, labels
    "duplicates_output": "duplicates",  # folder for find_duplicates' table and page
    # Images whose features have this cosine or more look alike, too, where a vision model's
    # features of them are kept; 1: look at the images alone.
    "duplicates_similarity": 0.9,
    # review_labels: suspected_labels.csv as the page suspects.html of a model saved it. Images
    # whose label is wrong are moved to the other folder, or changed in a table of labels; tags are
    # changed in their tag files.
    "review_decisions": "",
    "review_at_least": 0.0,  # 0.8: also those that you did not decide on, if they are that clear
    "review_table": "",
    "review_dry_run": True,
    "review_undo": "",
    # ---------------------------------------------------------------------------- classifier
    # What custom_classifier_training learns from. "folders": one folder of images for each
    # category. "tags": any number of tags for each image.
    "label_source": "folders",
    # False: only the model's last layer is trained, on features that are computed once: seconds.
    # True: the whole model is, on images varied anew in every epoch: better with some thousand
    # images, minutes on a GPU, hours on a processor alone.
    "train_backbone": False,
    # With train_backbone True: the share of the training images on which the best epoch is
    # chosen, so that the test images stay unseen. 0: the last epoch is kept.
    "fraction_for_validation": 0.15,
    "early_stopping_patience": 0,  # stop after so many measurements without a better one; 0: never
    "weight_category_loss": False,  # True: rare categories weigh as much as common ones
    "ema_decay": 0.0,  # use a running average of the weights; 0.999 is usual, 0: off
    "freeze_batch_norm": True,  # False only for a base_model with random weights
    "resume": True,  # go on where a run with the same settings was stopped
    "augment_flip": True,  # mirror half of the images; False for text or left and right hands
    "augment_crop": 0.6,  # smallest share of the image's area that is cut out; 1: the whole image
    "augment_rotation": 10.0,  # degrees, to either side
    "augment_colour": 0.2,  # of brightness, contrast and saturation
    "augment_cutout": 0.0,  # side of a square that is blanked out, as a share of the image's
    "augment_mixup": 0.0,  # blend pairs of images: 0.2
    "augment_cutmix": 0.0,  # paste a part of another image: 1.0
    # ---------------------------------------------------------------------------- classify_images
    # What happens to the images of top_level_image_directory: "table" (only a CSV table is
    # written), or "copy", "move" or "link" them into one folder for each category as well.
    "classify_action": "table",
    "classify_table": "classified.csv",
    "classify_rank_by": "",  # a category: the table begins with its most probable images
    "classify_into": "",  # where the category folders are made
    "classify_minimum": 0.0,  # images with a less probable category stay where they are
    "classify_dry_run": True,  # only say what would be done; False: do it
    "classify_undo": "",  # an undo file, to undo everything in it
    # ---------------------------------------------------------------------------- tags
    # Several tags for one image are kept in a text file beside it, one tag on a line.
    "tag_files": "image1.jpg.txt",  # or "image1.txt"
    "tag_commas": False,  # True: tags stand between commas
    # Images that have a tag file: "skip" leaves it as it is, "append" adds the tags it lacks,
    # "overwrite" replaces it. With dry_run nothing is written, only listed.
    "existing_tags": "skip",
    "dry_run": False,
    # With label_source "tags": where the tags are ("" for tag files, or a .csv table or a
    # Danbooru-style SQLite file), and which are learnt.
    "tag_source": "",
    "tag_min_count": 1,  # tags on fewer images are left out
    "tag_list": "",  # a selected_tags.csv: its tags and no others
    "split_by_id": "",  # "900-949,950-999": validation and test images, by id modulo 1000
    # The loss: "bce", "focal" (with its alpha and gamma), or "asl" (asymmetric; with all three
    # of its parameters 0 it is bce summed over the tags).
    "tag_loss": "bce",
    "focal_alpha": 0.25,
    "focal_gamma": 2.0,
    "asl_gamma_neg": 0.0,
    "asl_gamma_pos": 0.0,
    "asl_clip": 0.0,
    "tag_head_epochs": 30,  # with train_backbone False, in place of training_args' values
    "tag_head_learning_rate": 1e-2,
    "image_sizes": [],  # with train_backbone True: [320, 384] trains at one, then at the other
    # A tag is given from the threshold on at which precision equals recall on the validation
    # images: "global" (over all tags), "category", or "tag" (for tags on enough images).
    "threshold_scope": "global",
    "threshold_min_support": 20,
    "tag_ranks": [],  # also report on the tags from this popularity rank down: [1000]
    "export_onnx": False,  # True: write model.onnx as well, for tagging without torch
    # tag_images: "tag" (write tag files), "list" (the model's tags), "serve" (a page in the
    # browser), "export" (write model.onnx for a model that is there).
    "tag_action": "tag",
    "tag_backend": "auto",  # "onnx" or "torch"; "auto": model.onnx if there is one
    "whitelist": "whitelist.txt",  # only these tags, if there is such a file
    "blacklist": "",  # never these
    "tag_threshold": 0.0,  # one threshold in place of the model's own
    "tag_top_k": 0,  # or the so many likeliest tags
    "tag_probabilities": "",  # a .csv file for the probabilities
    "serve_port": 8765,
    # prepare_tags: tags for every image ("cat, indoors"), or the names of its folders; a file for
    # the list of all tags; a multitag-trainer .env to convert.
    "tags_to_write": "",
    "tags_from_folders": False,
    "write_tag_list": "",
    "undo": "",  # prepare_tags and tag_images: an undo file, to undo everything in it
    "convert_env": "",
}

# How the model is trained, with the names and meanings of transformers' TrainingArguments.
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
    "per_device_eval_batch_size": 32,  # images in one pass through the feature extractor
    "bootstrap_samples": 1000,  # behind the 95 % intervals
    "report_images": 12,  # thumbnails in each row of report.html
}

# Settings for one script only; they go before those above.
per_script: dict[str, dict[str, object]] = {
    "custom_classifier_training": {
        # Any image classifier of transformers: "google/efficientnet-b0" ... "-b7",
        # "facebook/convnextv2-tiny-22k-224", "microsoft/swinv2-tiny-patch4-window8-256" ...
        "base_model": "google/vit-base-patch16-224-in21k",
        "save_model": "models/my_classifier",
        "eval_every_n_epochs": 1,  # 0: never
        # Only with train_backbone True. Every name of transformers' TrainingArguments works here.
        "training_args": {
            "num_train_epochs": 10,
            "learning_rate": 5e-5,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 0.1,  # below 1: a share of all steps
            "per_device_train_batch_size": 16,
            "gradient_accumulation_steps": 1,  # 2: as if the batch were twice as large
            "weight_decay": 0.01,
            "label_smoothing_factor": 0.0,
            "save_total_limit": 1,  # checkpoints beside the best one
            "dataloader_num_workers": 0,  # with a GPU: about as many as there are processor cores
            "bf16": False,  # True: twice as fast on NVIDIA GPUs from 2020 on
        },
    },
}
