"""The code on a model's card, run as a person would run it."""

import contextlib
import io
import re
from pathlib import Path


def outputs(model: Path, photo: Path) -> list[str]:
    """What each piece of code in a model's README.md prints for a photo."""
    card, printed = (model / "README.md").read_text(encoding="utf-8"), []
    for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        output = io.StringIO()
        with contextlib.chdir(model.parent), contextlib.redirect_stdout(output):
            exec(code.replace('"photo.jpg"', repr(str(photo))), {})
        printed.append(output.getvalue())
    return printed
