"""Scripts started as two processes that train together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
SECONDS = 200  # twice this is less than the time such a test may take


def torchrun(script: str | Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run a script under torchrun with two processes on this machine, on the CPU.

    On an overloaded machine Gloo's first connection can wait for ever. A run that stood still
    before its first epoch was over is tried once more; any other fault is told at once.
    """
    command = [sys.executable, *LAUNCHER, str(ROOT / script), *map(str, words)]
    done = _run(command)
    if done.returncode == -signal.SIGKILL and "epoch 1:" not in done.stderr:
        done = _run(command)
    return done


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, or end it and all that it started."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    if sys.platform == "linux":  # this computer's name may lead to another interface
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)
