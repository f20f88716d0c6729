"""run.py: its decisions by themselves, and real runs in a small project with its own .venv."""

import ast
import http.server
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

import run

RUN_PY = Path(run.__file__)
POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")


# ---- decisions


def test_an_old_python_can_read_the_file_as_far_as_the_line_that_refuses_it():
    ast.parse(RUN_PY.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_only_the_standard_library_is_imported():
    tree = ast.parse(RUN_PY.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("stamp", "venv_version", "reason"),
    [
        ({"python": "3.11", "requirements.txt": "x"}, "3.11", None),
        (None, "3.11", None),  # made by hand
        ({"installing": "3.11"}, "3.11", "interrupted"),
        ({"python": "3.11"}, None, "damaged"),
        (None, None, "damaged"),
        ({"python": "3.12"}, "3.12", "Python 3.12"),
    ],
)
def test_why_an_environment_cannot_be_kept(stamp, venv_version, reason):
    said = run.why_remake(stamp, venv_version, "3.11")
    assert said is None if reason is None else reason in (said or "")


@pytest.mark.parametrize(
    ("platform", "nvidia", "pip_settings", "index"),
    [
        ("linux", False, "", "https://download.pytorch.org/whl/cpu"),
        ("linux", True, "", None),
        ("win32", True, "", "https://download.pytorch.org/whl/cu130"),
        ("win32", False, "", None),
        ("darwin", False, "", None),
        ("linux", False, "global.index-url='https://mirror.example/simple'", None),
        ("linux", False, ":env:.find-links='/wheels'", None),
        ("linux", False, "global.timeout='60'", "https://download.pytorch.org/whl/cpu"),
    ],
)
def test_the_build_of_torch_fits_the_machine_and_pips_settings_win(
    platform, nvidia, pip_settings, index
):
    assert run.torch_index(platform, nvidia, pip_settings) == index


def test_without_pytorchs_index_torch_comes_from_the_package_index(monkeypatch, capsys):
    asked: list[tuple[str, ...]] = []

    def pip_install(*words: str) -> int:
        asked.append(words)
        return 1

    monkeypatch.setattr(run, "torch_index", lambda *_: "https://index.example/cpu")
    monkeypatch.setattr(run, "pip_configuration", lambda: "")
    monkeypatch.setattr(run, "pip_install", pip_install)
    run.install_torch_build()  # goes on
    assert "torch==2.13.0" in asked[0] and "https://index.example/cpu" in asked[0]
    assert "package index's own" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_without_venv_it_says_which_system_package_to_install(monkeypatch, tmp_path, missing):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    with pytest.raises(run.Stop, match="apt install python3-venv"):
        run.prepare_venv(None)
    assert not (tmp_path / ".venv").exists()


def test_scripts_are_found_by_name_or_path_and_listed_with_what_they_do(tmp_path, monkeypatch):
    (tmp_path / "bench").mkdir()
    for name in ("run.py", "arguments.py", "score_images.py", "bench/speed.py"):
        (tmp_path / name).write_text(f'"""What {name} does.\n\nMore."""\n', encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    elsewhere = tmp_path.parent / "elsewhere.py"
    elsewhere.write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "bench")

    assert [path.name for path in run.scripts(tmp_path)] == ["broken.py", "score_images.py"]
    assert run.listing(run.scripts(tmp_path)).splitlines() == [
        "  broken",
        "  score_images  What score_images.py does.",
    ]
    assert run.find_script("score_images", tmp_path) == tmp_path / "score_images.py"
    assert run.find_script("score_images.py", tmp_path) == tmp_path / "score_images.py"
    assert run.find_script("bench/speed.py", tmp_path) == tmp_path / "bench" / "speed.py"
    assert (
        run.find_script("speed", tmp_path) == tmp_path / "bench" / "speed.py"
    )  # from inside bench
    assert run.find_script("arguments", tmp_path) is None
    assert run.find_script(str(elsewhere), tmp_path) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("aesthetic_ab_scorr", "aesthetic_ab_scorer"),
        ("ab_scorer.py", "aesthetic_ab_scorer"),
        ("tset", "test"),
        ("xyzzy", None),
    ],
)
def test_an_unknown_script_gets_a_suggestion(typed, meant):
    said = run.unknown(typed, ["aesthetic_ab_scorer", "score_images"])
    assert (f"Did you mean {meant!r}?" in said) if meant else "Did you mean" not in said


# ---- real runs


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages: tiny 1.0 and 2.0, an extra, and a pytest that shows its arguments."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        write_wheel(folder, "tiny", version, {"tiny.py": f"version = {version!r}\n"})
        write_wheel(folder, "renumics_spotlight", version, {"extra.py": f"version = {version!r}\n"})
    shows_arguments = "import os, sys\nprint('tested', sys.argv[1:], os.getcwd())\nsys.exit(5)\n"
    write_wheel(folder, "pytest", "1.0", {"pytest.py": shows_arguments})
    return folder


SCRIPT = '''"""Show where this runs."""
import os, sys, time, tiny
try:
    print(tiny.version, sys.argv[1:], os.getcwd(), sys.prefix, flush=True)
    if sys.argv[1:] == ["wait"]:
        time.sleep(100)
except KeyboardInterrupt:
    sys.exit(77)
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
'''


class Project:
    """A folder with run.py, a script, and requirements that a test can change."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copy(RUN_PY, folder)
        (folder / "show.py").write_text(SCRIPT, encoding="utf-8")
        self.write("requirements.txt", f"--no-index\n--find-links {wheels.as_uri()}\ntiny\n")
        self.write("requirements-dev.txt", "pytest\n")
        self.write("constraints.txt", "tiny==1.0\nrenumics-spotlight==1.0\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *words: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.folder / "run.py"), *words],
            cwd=cwd or self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *words: str, cwd: Path | None = None) -> tuple[int, str, str]:
        process = self.start(*words, cwd=cwd)
        out, err = process.communicate(timeout=200)
        assert "Traceback" not in err
        return process.returncode, out, err


@pytest.fixture
def project(tmp_path, wheels) -> Project:
    return Project(tmp_path / "my project", wheels)


def venv_python(project: Project) -> Path:
    return project.folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.mark.timeout(900)
def test_a_life_of_an_environment(project, wheels, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))  # for what no requirement file names
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    code, out, err = project.run("show.py", "3", cwd=tmp_path)  # first call, from elsewhere
    assert code == 3  # the script's own
    assert out.startswith(f"1.0 ['3'] {tmp_path} {project.folder}")
    assert "making the folder .venv" in err and "installed" in err

    assert project.run("show") == (0, f"1.0 [] {project.folder} {project.folder / '.venv'}\n", "")

    project.write("constraints.txt", "tiny==2.0\nrenumics-spotlight==1.0\n")
    code, out, err = project.run("show")
    assert (code, out[:3]) == (0, "2.0")
    assert "installing" in err and "making" not in err

    if os.name == "posix":  # Ctrl-C is the script's own affair
        process = project.start("show", "wait")
        wait_for(process.stdout, "wait")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=100)
        assert (process.returncode, err) == (77, "")

    # The tests' own requirements come at the first test, and stay up to date from then on.
    code, out, err = project.run("test", "-k", "a b", cwd=tmp_path)
    assert (code, out) == (5, f"tested ['-k', 'a b'] {project.folder}\n")
    assert "requirements-dev.txt" in err
    assert project.run("test")[2] == ""

    # An optional package, by the name people use, in the tested version.
    code, out, err = project.run("install", "spotlight")
    assert code == 0
    show = [str(venv_python(project)), "-c", "import extra; print(extra.version)"]
    assert subprocess.check_output(show, encoding="utf-8").strip() == "1.0"
    assert project.run("show")[2] == ""  # nothing to install again

    # What cannot be had is told, and leaves the environment in working order.
    project.write("constraints.txt", "tiny==3.0\n")
    code, out, err = project.run("show")
    assert (code, out) == (1, "")
    assert "tiny==3.0" in err and "pip could not install" in err
    project.write("constraints.txt", "tiny==1.0\nrenumics-spotlight==1.0\n")
    code, out, err = project.run("show")
    assert (code, out[:3]) == (0, "1.0")
    assert "making" not in err

    # A Python that is gone, while the package index cannot help at first.
    for python in venv_python(project).parent.glob("python*"):
        python.unlink()
    index = (project.folder / "requirements.txt").read_text(encoding="utf-8")
    project.write("requirements.txt", "--no-index\ntiny\n")
    monkeypatch.delenv("PIP_FIND_LINKS")
    code, out, err = project.run("show")
    assert (code, out) == (1, "")
    assert "damaged" in err and "pip could not install" in err
    project.write("requirements.txt", index)
    code, out, err = project.run("show")
    assert (code, out[:3]) == (0, "1.0")


def test_nothing_is_installed_for_help_or_a_wrong_name(project):
    code, out, err = project.run()
    assert (code, err) == (0, "")
    assert "show  Show where this runs." in out and "python run.py demo" in out
    code, out, err = project.run("shw")
    assert (code, out) == (2, "")
    assert "Did you mean 'show'?" in err and "Show where this runs." in err
    assert project.run("install")[0] == 2
    assert not (project.folder / ".venv").exists()


class SlowIndex:
    """A page of packages on this machine that keeps pip waiting until it is opened."""

    def __init__(self, wheels: Path) -> None:
        asked, opened = threading.Event(), threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.set()
                opened.wait(100)
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.asked, self.opened = asked, opened
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *words: Handler(*words, directory=str(wheels))
        )
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def slow_index(wheels) -> Iterator[SlowIndex]:
    index = SlowIndex(wheels)
    yield index
    index.opened.set()
    index.server.shutdown()
    index.server.server_close()


def wait_for(stream: IO[str] | None, text: str) -> None:
    said = []
    for line in stream or ():
        said.append(line)
        if text in line:
            return
    pytest.fail(f"ended without {text!r}: {said}")


@POSIX_ONLY
def test_a_killed_installation_is_waited_for_and_made_anew(project, slow_index):
    project.write("requirements.txt", f"--no-index\n--find-links {slow_index.address}\ntiny\n")
    first = project.start("show")
    assert slow_index.asked.wait(100)
    first.kill()  # run.py alone: pip goes on
    first.communicate()

    second = project.start("show")
    wait_for(second.stderr, "another run.py is installing")
    slow_index.opened.set()
    out, err = second.communicate(timeout=200)
    assert (second.returncode, out[:3]) == (0, "1.0")
    assert "interrupted" in err and "installed" in err


@POSIX_ONLY
def test_two_at_once_install_once(project, slow_index):
    project.write("requirements.txt", f"--no-index\n--find-links {slow_index.address}\ntiny\n")
    first = project.start("show")
    assert slow_index.asked.wait(100)
    second = project.start("show")
    wait_for(second.stderr, "another run.py is installing")
    slow_index.opened.set()
    out, err = first.communicate(timeout=200)
    assert (first.returncode, out[:3]) == (0, "1.0")
    out, err = second.communicate(timeout=200)
    assert (second.returncode, out[:3], err) == (0, "1.0", "")


@POSIX_ONLY
def test_ctrl_c_ends_an_installation_without_a_traceback(project, slow_index):
    project.write("requirements.txt", f"--no-index\n--find-links {slow_index.address}\ntiny\n")
    process = project.start("show")
    assert slow_index.asked.wait(100)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (130, "")
    assert err.rstrip().endswith("run.py: stopped") and "Traceback" not in err
