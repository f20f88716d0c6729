"""The direction of the imports, and what every file must keep to."""

import ast
import graphlib
import re
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.name not in {"arguments.py", "run.py"})

# Who may use whom inside src: a package uses the packages named here and nothing else.
LOWEST = {"errors", "files", "progress", "devices", "text"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "text": set(),
    "files": {"errors", "text"},
    "progress": set(),
    "devices": {"errors"},
    "images": {"errors", "text"},
    "settings": {"errors", "text"},
    "script": {"errors", "settings", "text"},
    "features": LOWEST | {"images"},
    "evaluation": LOWEST,
    "rating": LOWEST | {"images", "evaluation"},
    "window": LOWEST | {"images", "rating", "evaluation"},
    "dataset": LOWEST | {"images", "rating"},
    "file_changes": LOWEST | {"images", "rating"},
    # The settings of the mlp reach its code unchanged.
    "aesthetic": LOWEST | {"dataset", "evaluation", "features", "images", "rating", "settings"},
    "image_models": LOWEST | {"dataset", "features", "images", "settings"},
    "classifier": LOWEST | {"dataset", "evaluation", "image_models", "reports", "settings"},
    "tagging": LOWEST
    | {"dataset", "evaluation", "features", "file_changes", "image_models", "images"}
    | {"reports", "settings"},
    "reports": LOWEST | {"aesthetic", "dataset", "evaluation", "images"},
    "scoring": LOWEST
    | {"aesthetic", "dataset", "features", "file_changes", "image_models", "images"},
}
HEAVY = {"torch", "transformers", "sklearn", "matplotlib", "datasets", "pandas", "scipy"}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    nodes = parsed(path).body if top_level_only else list(ast.walk(parsed(path)))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found.add(node.module or "")
            if node.module == "src":
                found |= {f"src.{alias.name}" for alias in node.names}
    return found


def package(path: Path) -> str:
    return path.relative_to(ROOT / "src").parts[0].removesuffix(".py")


def test_no_files_import_each_other():
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in SOURCES
        if path.name != "__init__.py"  # the face of a package, which its files may know
    }
    graph = {name: imports(path) & names.keys() - {name} for name, path in names.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_arrows_point_one_way(path):
    if path == ROOT / "src" / "__init__.py":
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("src.")}
    assert used - {package(path)} <= ALLOWED[package(path)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_package_knows_the_arguments_file_or_a_script(path):
    forbidden = {"arguments", "run"} | {script.stem for script in SCRIPTS}
    assert not imports(path) & forbidden
    names = {
        node.attr
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    }
    assert "argv" not in names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled_and_weights_are_only_weights(path):
    text = path.read_text(encoding="utf-8").replace("from pickle import UnpicklingError\n", "")
    assert not re.search(r"^\s*(import|from) (pickle|dill|joblib|shelve|marshal)\b", text, re.M)
    assert text.count("torch.load(") == text.count("weights_only=True")


NOUNS = r"(images|choices|labels|tags|pairs|groups|copies|combinations|categories|files|folders)"


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=lambda path: path.name)
def test_numbers_agree_with_their_nouns(path):
    """`counted` writes them: "1 images" cannot be."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(rf"%[,.\d]*[df] ([a-z]+ )?{NOUNS}\b", node.value)
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in pairwise(parts):
            if isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue):
                between = "counted(" in ast.unparse(value)  # "3 choices between images"
                assert between or not re.match(rf" ([a-z]+ )?{NOUNS}\b", str(text.value)), text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_and_import_nothing_heavy_at_the_top(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 170
    assert not {name.split(".")[0] for name in imports(script, top_level_only=True)} & HEAVY


def test_help_loads_nothing_heavy():
    """One process runs all scripts; after none of them may there be anything heavy."""
    program = (
        "import runpy, sys\n"
        f"for script in {[str(script) for script in SCRIPTS]!r}:\n"
        "    sys.argv = [script, '--help']\n"
        "    try:\n"
        "        runpy.run_path(script, run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0, script\n"
        f"    heavy = sys.modules.keys() & {HEAVY!r}\n"
        "    assert not heavy, (script, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for script in SCRIPTS:
        assert f"usage: python run.py {script.stem}" in done.stdout


@pytest.mark.parametrize("name", ["src.rating.session", "src.window"])
def test_rating_starts_without_torch(name):
    program = f"import sys, {name}\nassert not sys.modules.keys() & {{'torch', 'transformers'}}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
