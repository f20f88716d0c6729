"""Set up and run anything here; needs nothing but Python.

python run.py demo                       make example images, train on them, write a report
python run.py SCRIPT [--key=value ...]   run a script; with --help it lists its settings
python run.py install PACKAGE ...        add an optional package
python run.py test [pytest arguments]    run the tests
python run.py check                      check formatting, lint and types

The first call makes the folder .venv and installs the packages of requirements.txt into it, in the
versions of constraints.txt; later calls do so only when those files have changed.
"""

# The syntax is kept to Python 3.6's: an old Python must get as far as the line that refuses it.

import difflib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

NEEDED = (3, 11)
if sys.version_info < NEEDED:
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
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
PIP = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input")
STAMP = VENV / "installed.json"  # Python's version, and a digest of each file installed from
REQUIREMENTS, FOR_TESTS, CONSTRAINTS = "requirements.txt", "requirements-dev.txt", "constraints.txt"
VERSION = "{}.{}".format(*sys.version_info)
UNFINISHED = "unfinished"  # in place of the version while packages are being installed
COMMANDS = ["demo", "test", "check", "install"]
NOT_SCRIPTS = ("run.py", "arguments.py")
EVERY_CORE = ("-n", "auto", "--dist", "worksteal")  # how all tests are run

# What people call a package, where the package index calls it something else: its "clip" is a
# clipboard manager.
PACKAGE_NAMES = {"clip": "clip-anytorch", "spotlight": "renumics-spotlight"}


def main(command: str = "help", *rest: str) -> int:
    if command in ("help", "--help", "-h"):
        print(f"{__doc__}\nScripts:\n{listing()}")
        return 0
    if command in COMMANDS:
        os.chdir(ROOT)
    if command == "install":
        return install_extra(*rest)
    if command in ("test", "check"):
        ensure_environment(REQUIREMENTS, FOR_TESTS)
        return check() if command == "check" else hand_over("-m", "pytest", *(rest or EVERY_CORE))
    script = find_script("examples/demo.py" if command == "demo" else command)
    ensure_environment(REQUIREMENTS)
    return hand_over(str(script), *rest)


def say(line: str) -> None:
    print(f"run.py: {line}", file=sys.stderr, flush=True)


def stop(line: str, code: int = 2) -> NoReturn:
    say(line)
    raise SystemExit(code)


def scripts() -> dict[str, str]:
    """Name of each script at the top of the project -> the first line of its docstring."""
    paths = sorted(path for path in ROOT.glob("*.py") if path.name not in NOT_SCRIPTS)
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    return {name: text.partition("\n")[0].strip('"') for name, text in texts.items()}


def listing() -> str:
    return "\n".join(f"  {name:30}{what}".rstrip() for name, what in scripts().items())


def find_script(name: str) -> Path:
    """The script that is meant: the name of one at the top, or a path, with or without .py."""
    for folder in (ROOT, Path.cwd()):
        path = folder / (name.removesuffix(".py") + ".py")
        if path.is_file() and path.name not in NOT_SCRIPTS:
            return path
    names, stem = [*scripts(), *COMMANDS], name.removesuffix(".py").lower()
    near = [other for other in names if len(stem) > 2 and stem in other]
    near += difflib.get_close_matches(stem, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    there = "\n  ".join([listing(), *COMMANDS])
    stop(f"there is no script or command {name!r}.{hint} There are:\n{there}")


def ensure_environment(*files: str) -> None:
    """Make .venv and install these requirement files into it, where that is not done yet."""
    if is_ready(files):
        return
    with lock():
        if is_ready(files):  # another run.py did it while this one waited
            return
        known = [name for name in read_stamp() if (ROOT / name).is_file()]
        files = tuple(dict.fromkeys([*files, *known]))
        make_venv()
        say(f"installing the packages of {' and '.join(files)} (once; this takes a few minutes)")
        with unfinished(files):
            install_torch_build()
            pip_install(*(f"--requirement={ROOT / name}" for name in files))
        say("installed")


def is_ready(files: Iterable[str]) -> bool:
    return stamp_for(files).items() <= read_stamp().items() and Path(PYTHON).exists()


def stamp_for(files: Iterable[str]) -> dict[str, str]:
    """What the stamp says once these files are installed."""
    after = b"\0" + (ROOT / CONSTRAINTS).read_bytes()
    digests = {name: hashlib.sha256((ROOT / name).read_bytes() + after) for name in files}
    return {"python": VERSION, **{name: digest.hexdigest() for name, digest in digests.items()}}


def read_stamp() -> dict[str, str]:
    with suppress(OSError, ValueError):
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    return {}


def make_venv() -> None:
    """Make .venv where there is none that can be used."""
    version, why = read_stamp().get("python", VERSION), ""
    if not VENV.exists():
        why = "there is none yet"
    elif version == UNFINISHED:
        why = "the last installation was interrupted"
    elif version != VERSION:
        why = f"the old one was made for Python {version}, and this is {VERSION}"
    elif not Path(PYTHON).exists() or ask("-m", "pip", "--version").returncode:
        why = "the old one is damaged"
    if not why:
        return
    say(f"making the folder .venv: {why}")
    # Run from inside .venv, sys.executable would be the very file that is replaced.
    python = getattr(sys, "_base_executable", None) or sys.executable
    if call(python, "-m", "venv", "--clear", str(VENV)):
        hint = "On Debian and Ubuntu this usually helps: sudo apt install python3-venv"
        stop(f"could not make {VENV} (see above). {hint}", 1)


@contextmanager
def unfinished(files: Iterable[str]) -> Iterator[None]:
    """Mark .venv as unfinished for as long as pip changes it, then as holding these files.

    The mark stays where pip is interrupted or killed: such a .venv is made anew. Where pip fails by
    itself, .venv is whole but may hold other versions: the next call has pip go over it again.
    """
    unknown = dict.fromkeys(files, "")
    STAMP.write_text(json.dumps({"python": UNFINISHED, **unknown}))
    try:
        yield
    except SystemExit:
        STAMP.write_text(json.dumps({"python": VERSION, **unknown}))
        raise
    STAMP.write_text(json.dumps(stamp_for(files)))


@contextmanager
def lock() -> Iterator[None]:
    """Let one run.py at a time change .venv; the others wait.

    The lock is on run.py itself. On Linux and macOS pip inherits it, so that it is held to the end
    of a pip whose run.py was killed.
    """
    waiting = False
    with open(__file__, "rb") as file:
        os.set_inheritable(file.fileno(), True)
        while True:
            try:
                if sys.platform == "win32":
                    file.seek(2**30)  # past the end: a locked part could not be read by others
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):
                if not waiting:
                    say("another run.py is installing packages; waiting for it to finish")
                waiting = True
                time.sleep(0.2)
            except OSError:  # a disk without locks
                break
        yield


def install_extra(*words: str) -> int:
    """Install optional packages; words that begin with a dash are options of pip."""
    if all(word.startswith("-") for word in words):
        stop("which package? For example: python run.py install spotlight")
    ensure_environment(REQUIREMENTS)
    index = torch_index(*this_machine())
    where = [f"--extra-index-url={index}"] if index else []
    with lock():
        with unfinished(read_stamp().keys() - {"python"}):
            pip_install(*where, *(PACKAGE_NAMES.get(word, word) for word in words))
        # transformers fails where there is a torchvision that does not fit torch's build.
        if ask("-c", "from importlib.util import find_spec as f; "
               "f('torchvision') and __import__('torchvision')").returncode:  # fmt: skip
            call(*PIP, "uninstall", "--yes", "torchvision")
            stop("the torchvision on offer does not fit this build of torch; it was removed", 1)
    return 0


def pip_install(*words: str) -> None:
    """Have pip install into .venv, held to constraints.txt."""
    if call(*PIP, "install", f"--constraint={ROOT / CONSTRAINTS}", *words):
        advice = "Check the connection and the free disk space, then run the same command again."
        if sys.version_info >= (3, 15):
            advice = f"Some may not exist for Python {VERSION} yet: try Python 3.11 to 3.14."
        stop(f"pip could not install the packages (see above). {advice}", 1)


def install_torch_build() -> None:
    """Install the build of torch that suits the machine, where pip would take another."""
    index = torch_index(*this_machine())
    pins = (ROOT / CONSTRAINTS).read_text(encoding="utf-8").splitlines()
    for pin in [line for line in pins if index and line.startswith("torch==")]:
        say(f"installing the build of torch that suits this machine, from {index}")
        words = ["--no-deps", "--timeout=15", "--retries=1", f"--index-url={index}", pin]
        if call(*PIP, "install", *words):
            say("it cannot be fetched from there; using the package index's own build")


def torch_index(platform: str, nvidia: bool, settings: str) -> str | None:
    """Where to get the build of torch that suits the machine; None: where pip gets everything.

    The package index has one build for each system: for Linux with CUDA (some GB), for Windows
    without. PyTorch's own index has the others. Those who have told pip where to look are obeyed.
    """
    if any(word in settings for word in ("index-url", "find-links", "no-index")):
        return None
    build = {("linux", False): "cpu", ("win32", True): "cu130"}.get((platform, nvidia))
    return f"https://download.pytorch.org/whl/{build}" if build else None


def this_machine() -> tuple[str, bool, str]:
    """The system, whether there is an NVIDIA GPU, and pip's settings."""
    nvidia = bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()
    return sys.platform, nvidia, ask("-m", "pip", "config", "list").stdout


def activate() -> None:
    """Set environment variables as after activating .venv, for all that is started from here."""
    for name in ("PYTHONHOME", "__PYVENV_LAUNCHER__"):
        os.environ.pop(name, None)
    path = os.pathsep.join([os.path.dirname(PYTHON), os.environ.get("PATH", os.defpath)])
    # With PYTHONPATH, scripts in folders can import src as well.
    ours = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PIP_USER": "0", "PATH": path}
    os.environ.update(ours, VIRTUAL_ENV=str(VENV))


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """Have .venv's Python answer a question."""
    return subprocess.run([PYTHON, *words], capture_output=True, text=True)


def call(*command: str) -> int:
    """Run a helper such as pip, which talks on standard error; return its exit code."""
    # Files stay open for it: one of them holds the lock.
    return subprocess.call(command, stdin=subprocess.DEVNULL, stdout=2, close_fds=False)


def hand_over(*words: str) -> int:
    """Let .venv's Python take run.py's place: signals and the exit code are its own affair."""
    if os.name == "posix":
        os.execv(PYTHON, [PYTHON, *words])
    # Windows cannot replace a process. Ctrl-C reaches the script as well, which answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = subprocess.call([PYTHON, *words])
    return 130 if code == 0xC000013A else code  # ended by Ctrl-C


def check() -> int:
    """Formatting, lint and types (the tests' own types are not checked)."""
    typed = ["src", "examples", "bench", *(path.name for path in ROOT.glob("*.py"))]
    tools = (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy", *sorted(typed)])
    return max([call(PYTHON, "-m", *tool) for tool in tools])


if __name__ == "__main__":
    activate()
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as problem:
        stop(str(problem), 1)
    except KeyboardInterrupt:
        stop("stopped", 130)
