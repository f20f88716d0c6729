"""The settings of the mlp head: its network and its training, as `src/aesthetic/mlp` takes them."""

from typing import Any, Literal

from pydantic import Field, model_validator

from src.settings.keys import Device, Floats, Group, Integers, Natural, Positive, Share, key


class PredictorTrainingArgs(Group):
    """Names and meanings of transformers' TrainingArguments; the mlp head is trained so."""

    num_train_epochs: float = key(100, "Passes through the training images.", gt=0)
    max_steps: int = key(-1, "Stop after this many steps; -1: when all epochs are done.", ge=-1)
    learning_rate: float = key(1e-4, "Highest step size of the optimiser.", gt=0)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = key(
        "linear", "How the learning rate falls."
    )
    warmup_ratio: Share = key(0.0, "Share of the steps in which the learning rate rises.")
    warmup_steps: Natural = key(0, "The same as a number of steps.")
    per_device_train_batch_size: Positive = key(8, "Images in one step.")
    gradient_accumulation_steps: Positive = key(1, "2 works like a batch twice as large.")
    weight_decay: float = key(0.0, "Pull of the weights towards zero.", ge=0)
    max_grad_norm: float = key(1.0, "Longer gradients are clipped to this norm.", ge=0)
    adam_beta1: float = key(0.9, "Momentum of AdamW.", ge=0, lt=1)
    adam_beta2: float = key(0.999, "Memory of AdamW's step scaling.", ge=0, lt=1)
    adam_epsilon: float = key(1e-8, "Smallest divisor of AdamW.", gt=0)
    seed: Natural = key(42, "Seed of everything random in training.")

    @model_validator(mode="before")
    @classmethod
    def _accumulated(cls, given: Any) -> Any:
        """Accumulated gradients of small batches are those of one large batch."""
        batch = given.get("per_device_train_batch_size", 8)
        steps = given.get("gradient_accumulation_steps", 1)
        if type(batch) is type(steps) is int and steps > 1:
            one = {"gradient_accumulation_steps": 1, "per_device_train_batch_size": batch * steps}
            return {**given, **one}
        return given


class Mlp(Device):
    """The network of the mlp head, and how it is trained."""

    loss_model: Literal["ranking", "mse", "bce"] = key(
        "ranking",
        "What the mlp learns: 'ranking' (which of two images is better) or 'mse' (the scores). "
        "With any head, 'bce' learns which images you keep, from keep_folders and delete_folders "
        "or a table of ones and zeros, and gives the probability of keeping an image.",
    )
    aesthetic_model_hidden: Integers = key(
        (1024, 128, 64, 16), "Units in each hidden layer of an mlp that is trained from scratch."
    )
    aesthetic_model_dropouts: Floats = key(
        (0.2, 0.2, 0.1), "Dropout after each of the first hidden layers of the mlp."
    )
    aesthetic_model_relu: bool = key(False, "Put a ReLU after each hidden layer of the mlp.")
    aesthetic_model_standardise: bool = key(
        False, "Standardise the features for an mlp trained from scratch."
    )
    mlp_members: int = key(
        1,
        "3 or more: this many mlps, each trained without another part of the images, whose mean is "
        "the score; they tell how uncertain each score is.",
        ge=1,
        le=50,
    )
    eval_every_n_epochs: Natural = key(
        10, "Epochs between measurements of the mlp on the test images; 0: never measure."
    )
    training_args: PredictorTrainingArgs = Field(default_factory=PredictorTrainingArgs)

    def contradictions(self) -> list[str]:
        problems = super().contradictions()
        if any(not 0 <= share < 1 for share in self.aesthetic_model_dropouts):
            problems.append("aesthetic_model_dropouts must lie between 0 and 1")
        batch = self.training_args.per_device_train_batch_size
        if self.loss_model == "ranking" and batch % 2:
            problems.append(
                f"per_device_train_batch_size is {batch}, but loss_model 'ranking' compares "
                "images in pairs: make it even"
            )
        if any(units < 1 for units in self.aesthetic_model_hidden):
            problems.append("aesthetic_model_hidden must hold whole numbers of 1 or more")
        if self.mlp_members == 2:
            problems.append("mlp_members must be 1 (a single mlp), or 3 or more")
        return problems
