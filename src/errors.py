"""The errors that a user can cause and mend; anything else is a fault of the program."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can put right; one line says what, where and what to do.

    A script that raises it ends with exit code 2.
    """


class SettingsError(UserError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class DataError(UserError):
    """Images, labels or scores are missing, unreadable or contradictory."""


class ModelError(UserError):
    """A model is missing, damaged, or made for other features than those at hand."""


class MissingExtra(UserError):
    """An optional package is not installed; its name on the package index, and what needs it."""

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"python run.py install {package}"
        )


def first_line(error: Exception) -> str:
    """The first line of what another library's error says, or its name; 300 letters at most."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Whatever other libraries raise over a damaged model becomes a ModelError of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise ModelError(f"{what} cannot be loaded: {first_line(error)}") from None
