"""What README.md and docs/ tell people to type, and where they send them."""

import re
import shlex
from pathlib import Path

import pytest

from src.settings.keys import fields
from src.settings.load import read
from src.settings.scripts import SCRIPTS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = {kind.script: kind for kind in SCRIPTS}
KEYS = {script: fields(kind) for script, kind in KINDS.items()}
CONTEXTS: list[list[str]] = [[], ["--load_model=models/my_model"], ["--mode=meta"]]


def text(page: Path) -> str:
    """A page, with commands that go over several lines made one."""
    return re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))


def problems(script: str, words: list[str]) -> list[str]:
    reading = read(KINDS[script], ROOT / "arguments.py", words)
    reading.settings()
    return reading.problems


def commands() -> list[str]:
    """Every command, in a block of its own or in a sentence, without its comment."""
    found = [
        match.group(1) or match.group(2)
        for page in PAGES
        for match in re.finditer(
            r"`(python (?:run\.py|-m) [^`]+)`|^ *((?:\S+/)?(?:python|torchrun|accelerate) .+)$",
            text(page),
            re.M,
        )
    ]
    return sorted({re.sub(r"\s+# .*", "", command).strip() for command in found})


@pytest.mark.parametrize("command", commands())
def test_commands_name_scripts_settings_and_values_that_exist(command):
    words = shlex.split(command)
    if "-m" in words[:2]:
        assert words[2] == "pip" or (ROOT / f"{words[2].replace('.', '/')}.py").is_file()
        return
    first = next(i for i, word in enumerate(words) if "run.py" in word or word.endswith(".py"))
    if words[first] != "run.py":
        script, rest = words[first].removesuffix(".py"), words[first + 1 :]
    else:
        script, rest = words[first + 1], words[first + 2 :]
    if script in KINDS:
        assert (
            problems(
                script, [word for word in rest if not word.startswith(("--help", "--arguments="))]
            )
            == []
        )
    else:
        assert (
            script in ("demo", "test", "install", "SCRIPT", "check")
            or (ROOT / f"{script}.py").is_file()
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_named_in_a_page_exist_and_take_these_values(page):
    for code in re.findall(r"`([^`\n]+)`", text(page)):
        if code.startswith("--"):
            words = shlex.split(code)
        elif match := re.fullmatch(r'"?([a-z_.]+)"?: (.+)', code):
            words = [f"--{match[1]}={match[2].strip(chr(34))}"]
        else:
            continue
        if re.search("[A-Z]{3}|…|\\.\\.\\.|^--key|^--help", code):  # FILE, ...: to be filled in
            continue
        keys = [word[2:].partition("=")[0] for word in words if "=" in word]
        having = [script for script in KINDS if all(key in KEYS[script] for key in keys)]
        tried = [[*words, *more] for more in CONTEXTS if keys]
        assert not keys or any(not problems(script, w) for script in having for w in tried), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", text(target), re.M)
            slugs = [re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings]
            assert anchor in slugs, link
