"""`training_args`: any name of transformers' TrainingArguments, checked without loading it."""

import ast
import difflib
import functools
import importlib.util
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from src.settings.keys import Group


class TrainerArgs(Group):
    """Every name that transformers' TrainingArguments takes; the values are passed on unchanged."""

    model_config = ConfigDict(extra="allow")

    @property
    def given(self) -> dict[str, Any]:
        """What the user wrote, by name."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _names_exist(cls, values: Any) -> Any:
        known = training_argument_names()
        if not isinstance(values, dict) or not known:
            return values
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("unknown_name", "{hint}", {"hint": _hint(name, known)}),
                loc=(name,),
                input=value,
            )
            for name, value in values.items()
            if name not in known
        ]
        if problems:
            raise ValidationError.from_exception_data("training_args", problems)
        return values


@functools.cache
def training_argument_names() -> frozenset[str]:
    """The fields of the installed TrainingArguments; empty if transformers is not installed.

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


def _hint(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    suggestion = f". Did you mean '{close[0]}'?" if close else ""
    return f"transformers' TrainingArguments has no such name{suggestion}"
