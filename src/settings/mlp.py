"""The settings of the mlp head: its network and its training, as `src/aesthetic/mlp` takes them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from src.settings.keys import Device, Floats, Group, Integers
from src.settings.several_values import Searchable


class PredictorTrainingArgs(Group):
    """Names and meanings of transformers' TrainingArguments; the mlp head is trained so."""

    num_train_epochs: float = Field(
        100, gt=0, allow_inf_nan=False, description="Passes through the training images."
    )
    max_steps: int = Field(
        -1, ge=-1, description="Stop after this many steps whatever the epochs say; -1: no limit."
    )
    learning_rate: float = Field(
        1e-4, gt=0, allow_inf_nan=False, description="Highest step size of the optimiser."
    )
    lr_scheduler_type: Annotated[
        Literal["linear", "cosine", "constant", "constant_with_warmup"],
        Searchable("lr_scheduler_type"),
    ] = Field("linear", description="How the learning rate falls: linear, cosine, constant, ...")
    warmup_ratio: Annotated[float, Searchable("warmup_ratio")] = Field(
        0.0, ge=0, le=1, description="Share of the steps in which the learning rate rises."
    )
    warmup_steps: Annotated[int, Searchable("warmup_steps")] = Field(
        0, ge=0, description="The same as a number of steps."
    )
    per_device_train_batch_size: int = Field(8, ge=1, description="Images in one step.")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="2: steps of twice as many images, as from accumulated gradients."
    )
    weight_decay: Annotated[float, Searchable("weight_decay")] = Field(
        0.0, ge=0, description="Pull of the weights towards zero."
    )
    max_grad_norm: Annotated[float, Searchable("max_grad_norm")] = Field(
        1.0, ge=0, description="Gradients longer than this are cut."
    )
    adam_beta1: Annotated[float, Searchable("adam_beta1")] = Field(
        0.9, ge=0, lt=1, description="Momentum of AdamW."
    )
    adam_beta2: Annotated[float, Searchable("adam_beta2")] = Field(
        0.999, ge=0, lt=1, description="Memory of AdamW's step scaling."
    )
    adam_epsilon: Annotated[float, Searchable("adam_epsilon")] = Field(
        1e-8, gt=0, description="Smallest divisor of AdamW."
    )
    seed: int = Field(42, ge=0, description="Seed of everything random in training.")

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

    loss_model: Annotated[Literal["ranking", "mse", "bce"], Searchable("loss")] = Field(
        "ranking",
        description="What the mlp head learns: 'ranking' (which of two images is better) or "
        "'mse' (the scores themselves). With any head, 'bce' learns from images that you kept "
        "and deleted (keep_folders, delete_folders, or a table of ones and zeros) and gives the "
        "probability of keeping an image.",
    )
    aesthetic_model_hidden: Annotated[Integers, Searchable("hidden")] = Field(
        (1024, 128, 64, 16),
        description="Units in each hidden layer of the mlp, where it is trained from scratch.",
    )
    aesthetic_model_dropouts: Annotated[Floats, Searchable("dropouts")] = Field(
        (0.2, 0.2, 0.1), description="Dropout after each of the first hidden layers of the mlp."
    )
    aesthetic_model_relu: Annotated[bool, Searchable("relu")] = Field(
        False, description="Put a ReLU after each hidden layer of the mlp."
    )
    aesthetic_model_standardise: Annotated[bool, Searchable("standardise")] = Field(
        False,
        description="Bring every feature to mean 0 and standard deviation 1 before the mlp, where "
        "it is trained from scratch. The saved model takes features as they come.",
    )
    mlp_members: int = Field(
        1,
        ge=1,
        le=50,
        description="With 3 or more: so many mlps, each trained without another part of the "
        "images, whose mean is the score. They tell how uncertain each score is.",
    )
    eval_every_n_epochs: int = Field(
        10, ge=0, description="Measure the mlp on the test images every so many epochs; 0: never."
    )
    training_args: PredictorTrainingArgs = Field(default_factory=PredictorTrainingArgs)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := self.contradictions():
            raise ValueError("; ".join(problems))
        return self

    def contradictions(self) -> list[str]:
        """What cannot be, a sentence each."""
        problems = []
        if any(not 0 <= share < 1 for share in self.aesthetic_model_dropouts):
            problems.append("aesthetic_model_dropouts must lie between 0 and 1")
        batch = self.training_args.per_device_train_batch_size
        if self.loss_model == "ranking" and batch % 2:
            problems.append(
                f"per_device_train_batch_size is {batch}, but loss_model 'ranking' compares "
                "images in pairs: make it even"
            )
        if any(units < 1 for units in self.aesthetic_model_hidden):
            problems.append("aesthetic_model_hidden must hold whole numbers from 1 on")
        if self.mlp_members == 2:
            problems.append("mlp_members must be 1 (a single mlp), or 3 and more")
        return problems
