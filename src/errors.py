"""The errors that a user can cause and mend; anything else is a fault of the program.

UserError            one line: what, where, what to do; the script ends with exit code 2
├── SettingsError    a key or value in arguments.py or on the command line
├── DataError        images, labels, scores or a file that holds them
├── ModelError       a model that cannot be loaded, or does not fit what it is used for
└── MissingExtra     an optional package that is not installed
"""


class UserError(Exception):
    """Something the user can put right; the message says what, where and what to do."""


class SettingsError(UserError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class DataError(UserError):
    """Images, labels or scores are missing, unreadable or contradictory."""


class ModelError(UserError):
    """A model is missing, damaged, or made for other features than those at hand."""


class MissingExtra(UserError):
    """An optional package is needed and not installed.

    Args:
        package: its name on the package index.
        purpose: what needs it, as the object of "for".
    """

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"python run.py install {package}"
        )
