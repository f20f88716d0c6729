"""run.py: its decisions by themselves, and real runs in a small project with its own .venv."""

import ast
import http.server
import os
import re
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
from tests.unit.test_architecture import imports

RUN_PY = Path(run.__file__)
POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")


# ---- decisions


def test_an_old_python_can_read_the_file_as_far_as_the_line_that_refuses_it():
    ast.parse(RUN_PY.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_only_the_standard_library_is_imported():
    assert {name.partition(".")[0] for name in imports(RUN_PY)} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ({"python": run.VERSION, "requirements.txt": "x"}, None),
        ({}, None),  # made by hand
        ({"python": run.UNFINISHED}, "interrupted"),
        ({"python": "3.9"}, "made for Python 3.9"),
        ({"python": run.VERSION, "pip": "gone"}, "damaged"),
    ],
)
def test_an_environment_that_cannot_be_used_is_made_anew(
    stamp, reason, tmp_path, monkeypatch, capsys
):
    commands = []
    monkeypatch.setattr(run, "VENV", tmp_path)
    monkeypatch.setattr(run, "PYTHON", sys.executable)
    monkeypatch.setattr(run, "read_stamp", lambda: stamp)
    monkeypatch.setattr(run, "call", lambda *command: commands.append(command))
    answer = subprocess.CompletedProcess((), 1 if "pip" in stamp else 0)
    monkeypatch.setattr(run, "ask", lambda *words: answer)
    run.make_venv()
    assert [command[2:4] for command in commands] == [("venv", "--clear")] * bool(reason)
    assert (reason or "") in capsys.readouterr().err


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
    commands = []
    monkeypatch.setattr(run, "this_machine", lambda: ("linux", False, ""))
    monkeypatch.setattr(run, "call", lambda *command: commands.append(command) or 1)
    run.install_torch_build()  # goes on
    assert "torch==2.13.0" in commands[0]
    assert "--index-url=https://download.pytorch.org/whl/cpu" in commands[0]
    assert "package index's own build" in capsys.readouterr().err


def test_without_venv_it_says_which_system_package_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(run, "call", lambda *_: 1)
    with pytest.raises(SystemExit):
        run.make_venv()
    assert "apt install python3-venv" in capsys.readouterr().err


def test_a_torchvision_that_does_not_fit_is_removed(monkeypatch, tmp_path, capsys):
    commands = []
    monkeypatch.setattr(run, "STAMP", tmp_path / "installed.json")
    monkeypatch.setattr(run, "ensure_environment", lambda *_: None)
    monkeypatch.setattr(run, "this_machine", lambda: ("linux", True, ""))
    monkeypatch.setattr(run, "call", lambda *command: commands.append(command) or 0)
    monkeypatch.setattr(run, "ask", lambda *words: subprocess.CompletedProcess(words, 1))
    with pytest.raises(SystemExit):
        run.install_extra("clip")
    assert "clip-anytorch" in commands[0]
    assert commands[1][-3:] == ("uninstall", "--yes", "torchvision")
    assert "it was removed" in capsys.readouterr().err


def test_scripts_are_found_by_name_or_path_and_listed_with_what_they_do(tmp_path, monkeypatch):
    (tmp_path / "bench").mkdir()
    for name in ("run.py", "arguments.py", "score_images.py", "bench/speed.py"):
        (tmp_path / name).write_text(f'"""What {name} does.\n\nMore."""\n', encoding="utf-8")
    (tmp_path / "short.py").write_text('"""One line."""\n', encoding="utf-8")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path / "bench")

    assert [" ".join(line.split()) for line in run.listing().splitlines()] == [
        "score_images What score_images.py does.",
        "short One line.",
    ]
    for name in ("score_images", "score_images.py"):
        assert run.find_script(name) == tmp_path / "score_images.py"
    for name in ("bench/speed.py", "speed"):  # the latter from inside bench
        assert run.find_script(name) == tmp_path / "bench" / "speed.py"
    with pytest.raises(SystemExit):
        run.find_script("arguments")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("aesthetic_ab_scorr", "aesthetic_ab_scorer"),
        ("ab_scorer.py", "aesthetic_ab_scorer"),
        ("tset", "test"),
        ("xyzzy", None),
    ],
)
def test_an_unknown_script_gets_a_suggestion(typed, meant, capsys):
    with pytest.raises(SystemExit):
        run.find_script(typed)
    said = capsys.readouterr().err
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


@pytest.fixture(scope="module")
def made_by_hand(tmp_path_factory) -> Path:
    """An environment that holds pip alone: making one takes longer than copying it."""
    folder = tmp_path_factory.mktemp("made_by_hand") / ".venv"
    python = getattr(sys, "_base_executable", None) or sys.executable
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    return folder


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
    assert re.search("  show +Show where this runs.", out) and "python run.py demo" in out
    code, out, err = project.run("shw")
    assert (code, out) == (2, "")
    assert "Did you mean 'show'?" in err and "Show where this runs." in err
    assert project.run("install")[0] == 2
    assert not (project.folder / ".venv").exists()


class Installing:
    """A first call in a project, while its package index keeps pip waiting until it is opened."""

    def __init__(self, project: Project, wheels: Path) -> None:
        asked, opened = threading.Event(), threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.set()
                opened.wait(100)
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.opened, self.project = opened, project
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *words: Handler(*words, directory=str(wheels))
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self.server.server_port}/"
        project.write("requirements.txt", f"--no-index\n--find-links {address}\ntiny\n")
        self.first = project.start("show")
        assert asked.wait(100)

    def second(self) -> tuple[int, str, str]:
        """A second call, which waits for the first; what became of it."""
        process = self.project.start("show")
        wait_for(process.stderr, "another run.py is installing")
        self.opened.set()
        out, err = process.communicate(timeout=200)
        return process.returncode, out[:3], err


@pytest.fixture
def installing(project, wheels, made_by_hand) -> Iterator[Installing]:
    shutil.copytree(made_by_hand, project.folder / ".venv", symlinks=True)
    found = Installing(project, wheels)
    yield found
    found.opened.set()
    found.first.communicate()
    found.server.shutdown()
    found.server.server_close()


def wait_for(stream: IO[str] | None, text: str) -> None:
    said = []
    for line in stream or ():
        said.append(line)
        if text in line:
            return
    pytest.fail(f"ended without {text!r}: {said}")


@POSIX_ONLY
def test_a_killed_installation_is_waited_for_and_made_anew(installing):
    installing.first.kill()  # run.py alone: pip goes on
    installing.first.wait()
    code, out, err = installing.second()
    assert (code, out) == (0, "1.0")
    assert "interrupted" in err and "installed" in err


@POSIX_ONLY
def test_two_at_once_install_once(installing):
    assert installing.second() == (0, "1.0", "")
    out, _ = installing.first.communicate(timeout=200)
    assert (installing.first.returncode, out[:3]) == (0, "1.0")


@POSIX_ONLY
def test_ctrl_c_ends_an_installation_without_a_traceback(installing):
    os.killpg(installing.first.pid, signal.SIGINT)
    out, err = installing.first.communicate(timeout=100)
    assert (installing.first.returncode, out) == (130, "")
    assert err.rstrip().endswith("run.py: stopped") and "Traceback" not in err
