"""Set up and run anything here; needs nothing but Python.

python run.py demo                       make example images, train on them, write a report
python run.py SCRIPT [--key=value ...]   run a script; with --help it lists its settings
python run.py install PACKAGE ...        add an optional package
python run.py test [pytest arguments]    run the tests
python run.py check                      formatting, lint and types

The first call makes the folder .venv and installs the packages of requirements.txt into it, in the
versions of constraints.txt; later calls do so only when those files change.
"""

# The syntax is kept to Python 3.6's: an old Python must reach the line that asks for a newer one.

import ast
import contextlib
import difflib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

PYTHON_NEEDED = (3, 11)
if sys.version_info[:2] < PYTHON_NEEDED:
    sys.stderr.write(
        f"run.py: Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}."
        " Install a newer one (python.org) and start run.py with it: python3.11 run.py ...\n"
    )
    sys.exit(2)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"
CONSTRAINTS = ROOT / "constraints.txt"
NOT_SCRIPTS = {"run.py", "arguments.py"}
COMMANDS = ("demo", "test", "check", "install")

# What people call a package, where the package index calls it something else: its "clip" is a
# clipboard manager.
PACKAGE_NAMES = {"clip": "clip-anytorch", "spotlight": "renumics-spotlight"}

WINDOWS_CTRL_C = 0xC000013A  # exit code of a Windows process that Ctrl-C ended
Stamp = dict[str, str]


class Stop(Exception):
    """Ends run.py with one line for the user."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def main(words: Sequence[str]) -> int:
    """Carry out a command line (without the program's name); return the exit code."""
    try:
        return dispatch(words)
    except Stop as stop:
        say(str(stop))
        return stop.code
    except OSError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130


def dispatch(words: Sequence[str]) -> int:
    if not words or words[0] in ("help", "--help", "-h"):
        print(f"{__doc__}\nScripts:\n{listing(scripts(ROOT))}")
        return 0
    command, rest = words[0], list(words[1:])
    script = ROOT / "examples" / "demo.py" if command == "demo" else find_script(command, ROOT)
    if command in ("demo", "test"):
        os.chdir(ROOT)
    if command == "test":
        ensure_environment("requirements.txt", "requirements-dev.txt")
        return hand_over([venv_python(), "-m", "pytest", *rest])
    if command == "check":
        ensure_environment("requirements.txt", "requirements-dev.txt")
        return check()
    if command == "install":
        return install_extra(rest)
    if script is None:
        raise Stop(unknown(command, [path.stem for path in scripts(ROOT)]))
    ensure_environment("requirements.txt")
    return hand_over([venv_python(), str(script), *rest])


# ---- scripts


def scripts(root: Path) -> list[Path]:
    """The scripts at the top of the project, by name."""
    return sorted(path for path in root.glob("*.py") if path.name not in NOT_SCRIPTS)


def find_script(name: str, root: Path) -> Path | None:
    """The script that is meant: the name of a top-level one, or a path, with or without .py."""
    name = name if name.endswith(".py") else name + ".py"
    for path in (root / name, Path.cwd() / name):
        if path.is_file() and root in path.resolve().parents and path.name not in NOT_SCRIPTS:
            return path.resolve()
    return None


def first_line(script: Path) -> str:
    """The first line of a script's docstring."""
    try:
        doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        doc = None
    return (doc or "").partition("\n")[0]


def listing(paths: Sequence[Path]) -> str:
    """One line per script: its name and what it does."""
    width = max((len(path.stem) for path in paths), default=0)
    return "\n".join(f"  {path.stem:{width}}  {first_line(path)}".rstrip() for path in paths)


def unknown(name: str, known: Sequence[str]) -> str:
    """What to say when there is no such script: a suggestion and the list."""
    stem = name[:-3] if name.endswith(".py") else name
    names = [*known, *COMMANDS]
    near = [other for other in names if stem.lower() in other] if len(stem) > 2 else []
    near += difflib.get_close_matches(stem, names, n=3, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    scripts_there = listing(scripts(ROOT))
    return f"there is no script or command {name!r}.{hint} There are:\n{scripts_there}\n  " + (
        "\n  ".join(COMMANDS)
    )


# ---- the environment


def ensure_environment(*files: str) -> None:
    """Make .venv and install the requirement files named into it, where that is not done yet."""
    if is_ready(read_stamp(), files):
        return
    with lock():
        stamp = read_stamp()
        if is_ready(stamp, files):  # another run.py did it while this one waited
            return
        prepare_venv(stamp)
        files = tuple(dict.fromkeys([*files, *installed_files(stamp)]))
        say(f"installing the packages of {' and '.join(files)} (once; takes some minutes)")
        started = time.monotonic()
        with changing_venv(files):
            install_torch_build()
            if pip_install(*(word for name in files for word in ("-r", str(ROOT / name)))):
                raise Stop(f"pip could not install the packages (see above). {install_hint()}", 1)
        say(f"installed in {time.monotonic() - started:.0f} s")


def is_ready(stamp: Stamp | None, files: Sequence[str]) -> bool:
    """Whether the environment holds what the requirement files ask for now."""
    return (
        stamp is not None
        and stamp.get("python") == this_python()
        and all(stamp.get(name) == digest(name) for name in files)
        and Path(venv_python()).exists()  # false as well where the Python it was made from is gone
    )


def why_remake(stamp: Stamp | None, venv_version: str | None, version: str) -> str | None:
    """Why the .venv that is there cannot be kept; None: it can.

    Args:
        stamp: what STAMP says; None where there is none.
        venv_version: Python version of the .venv, None where its Python or its pip does not run.
        version: Python version that runs this.
    """
    if stamp is not None and "installing" in stamp:
        return "an earlier installation was interrupted"
    if venv_version is None:
        return "it is damaged"
    if venv_version != version:
        return f"it was made for Python {venv_version}, and this is {version}"
    return None


def prepare_venv(stamp: Stamp | None) -> None:
    """Make .venv, or make it anew where it cannot be kept."""
    if VENV.exists():
        reason = why_remake(stamp, venv_version(), this_python())
        if reason is None:
            return
        say(f"making .venv anew: {reason} (optional packages have to be installed again)")
    else:
        say(f"making the folder .venv with Python {this_python()}")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise Stop(
            "this Python cannot make virtual environments: its venv or ensurepip module is missing."
            " On Debian or Ubuntu: sudo apt install python3-venv. Then run the same command again"
        )
    # Run from inside .venv, sys.executable would be the very file that is to be replaced.
    python = getattr(sys, "_base_executable", None) or sys.executable
    if call_quietly([python, "-m", "venv", "--clear", str(VENV)]):
        raise Stop(f"could not make {VENV} (see above)", 1)


def venv_python() -> str:
    """The environment's Python."""
    return str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def venv_version() -> str | None:
    """Python version of .venv as "3.11"; None where its Python or its pip does not run."""
    probe = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        done = subprocess.run(
            [venv_python(), "-c", probe], env=child_environment(), capture_output=True, text=True
        )
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def this_python() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


# ---- the stamp: what is installed


def digest(name: str) -> str:
    """Fingerprint of a requirement file together with the constraints."""
    texts = [(ROOT / name).read_text(encoding="utf-8"), CONSTRAINTS.read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def read_stamp() -> Stamp | None:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(stamp: Stamp) -> None:
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(partial, STAMP)


def installed_files(stamp: Stamp | None) -> list[str]:
    """The requirement files that were installed, and are still there."""
    return [name for name in stamp or {} if name.endswith(".txt") and (ROOT / name).is_file()]


@contextlib.contextmanager
def changing_venv(files: Sequence[str]) -> Iterator[None]:
    """Mark .venv as half-made for as long as pip changes it, then as holding these files.

    The mark stays when pip is interrupted or killed: such a .venv is made anew. Where pip fails by
    itself, .venv is whole but may hold other versions: the next call has pip go over it again.
    """
    write_stamp({"installing": this_python()})
    try:
        yield
    except Stop:
        write_stamp(dict.fromkeys(files, "to be gone over"))
        raise
    write_stamp({"python": this_python(), **{name: digest(name) for name in files}})


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Let one run.py at a time change .venv; the others wait.

    The lock is on run.py itself, which needs no lock file. On Linux and macOS pip inherits it, so
    that it is held to the end of a pip whose run.py was killed.
    """
    mode = "r+b" if os.access(__file__, os.W_OK) else "rb"
    with open(__file__, mode, buffering=0) as file:
        waiting = False
        while not try_lock(file):
            if not waiting:
                say("another run.py is installing packages; waiting for it to finish")
                waiting = True
            time.sleep(0.2)
        os.set_inheritable(file.fileno(), True)
        yield


def try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(2**30)  # past the end of the file: a locked part cannot be read by others
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


# ---- pip


def pip_install(*words: str) -> int:
    """pip install into .venv, held to constraints.txt; returns pip's exit code."""
    return call_quietly([*pip("install"), "-c", str(CONSTRAINTS), *words])


def pip(command: str) -> list[str]:
    return [venv_python(), "-m", "pip", command, "--disable-pip-version-check", "--no-input"]


def install_hint() -> str:
    if sys.version_info[:2] > (3, 14):
        return f"Some may not exist for Python {this_python()} yet: try Python 3.11 to 3.14."
    return "Check the connection and the free disk space, then run the same command again."


def install_extra(words: Sequence[str]) -> int:
    """Install optional packages; words that pip knows as options go to pip."""
    if not any(not word.startswith("-") for word in words):
        raise Stop(f"which package? For example: python run.py install {next(iter(PACKAGE_NAMES))}")
    ensure_environment("requirements.txt", *installed_files(read_stamp()))
    index = torch_index(sys.platform, has_nvidia_gpu(), pip_configuration())
    extra_index = ["--extra-index-url", index] if index else []
    with lock():
        with changing_venv(installed_files(read_stamp())):
            if pip_install(*extra_index, *(PACKAGE_NAMES.get(word, word) for word in words)):
                raise Stop("pip could not install that (see above)", 1)
        remove_unfit_torchvision()
    return 0


def remove_unfit_torchvision() -> None:
    """Take a torchvision away that does not fit torch's build: transformers fails where it is."""
    probe = (
        "from importlib.util import find_spec as f; f('torchvision') and __import__('torchvision')"
    )
    command = [venv_python(), "-c", probe]
    if subprocess.run(command, env=child_environment(), capture_output=True).returncode:
        call_quietly([*pip("uninstall"), "--yes", "torchvision"])
        raise Stop("the torchvision to be had does not fit this build of torch; it was removed", 1)


# ---- which build of torch

TORCH_INDEX = "https://download.pytorch.org/whl/"


def torch_index(platform: str, nvidia: bool, pip_settings: str) -> str | None:
    """Where to get the build of torch that suits the machine; None: where pip gets everything.

    The package index has one build of torch for each system: with CUDA (some GB) for Linux, for the
    CPU on Windows. PyTorch's own index has the others.

    Args:
        platform: as `sys.platform`.
        nvidia: whether there is an NVIDIA GPU.
        pip_settings: as "pip config list" prints them; who has told pip where to look is obeyed.
    """
    if any(word in pip_settings for word in ("index-url", "find-links", "no-index")):
        return None
    if platform == "linux" and not nvidia:
        return TORCH_INDEX + "cpu"
    if platform == "win32" and nvidia:
        return TORCH_INDEX + "cu130"
    return None


def has_nvidia_gpu() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def pip_configuration() -> str:
    command = [*pip("config"), "list"]
    return subprocess.run(command, env=child_environment(), capture_output=True, text=True).stdout


def install_torch_build() -> None:
    """Install the build of torch that suits the machine, where pip would take another."""
    index = torch_index(sys.platform, has_nvidia_gpu(), pip_configuration())
    pins = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pin = next((line for line in pins if line.startswith("torch==")), None)
    if index is None or pin is None:
        return
    say(f"taking the build of torch that suits this machine, from {index}")
    if pip_install("--no-deps", "--timeout=15", "--retries=1", "--index-url", index, pin):
        say("it is not to be had there; taking the package index's own build")


# ---- running things


def say(line: str) -> None:
    print(f"run.py: {line}", file=sys.stderr, flush=True)


def child_environment() -> dict[str, str]:
    """The environment variables for whatever runs in .venv: as after activating it."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}
    env["PYTHONPATH"] = str(ROOT)  # scripts in sub-folders import src as well; nothing leaks in
    env["PYTHONUTF8"] = "1"
    env["PIP_USER"] = "0"
    env["VIRTUAL_ENV"] = str(VENV)
    env["PATH"] = os.pathsep.join([os.path.dirname(venv_python()), env.get("PATH", os.defpath)])
    return env


@contextlib.contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A helper such as pip, running; it is ended when the block is left before it has finished.

    Ctrl-C in a terminal reaches the helper as well, which gets some seconds to clean up.
    """
    process = subprocess.Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        close_fds=False,  # the lock is passed on
        encoding="utf-8",
        errors="replace",
        **options,
    )
    try:
        yield process
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def call(command: Sequence[str]) -> int:
    """Run a helper to its end and return its exit code. It talks on standard error."""
    with child(command, stdout=2) as process:
        return process.wait()


def call_quietly(command: Sequence[str]) -> int:
    """As `call`, but a terminal shows its last line only; all of them appear if it fails."""
    lines = []
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            lines.append(line)
            show_status(line.strip())
        code = process.wait()
    show_status("")
    if code:
        sys.stderr.writelines(lines)
    return code


def show_status(line: str) -> None:
    """Put a line in the place of the last one, in a terminal; elsewhere say nothing."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + line[:width].ljust(width) + "\r")
        sys.stderr.flush()


def hand_over(command: Sequence[str]) -> int:
    """Let a command take run.py's place: signals and the exit code are its own affair."""
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], list(command), child_environment())
    process = subprocess.Popen(command, env=child_environment())
    while True:  # Windows cannot replace a process; Ctrl-C reaches the command, which answers it
        try:
            code = process.wait()
            return 130 if code == WINDOWS_CTRL_C else code
        except KeyboardInterrupt:
            continue


def check() -> int:
    """Formatting, lint and types (the tests' own are not checked); returns the first failure."""
    os.chdir(ROOT)
    folders = [name for name in ("src", "examples", "bench") if any(Path(name).rglob("*.py"))]
    typed = [*folders, *(path.name for path in sorted(ROOT.glob("*.py")))]
    codes = []
    for tool in (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy", *typed]):
        say(f"checking with {tool[0]} {tool[1] if tool[0] == 'ruff' else ''}".rstrip())
        codes.append(call([venv_python(), "-m", *tool]))
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
