"""Everything that was tried to break the program: docs/reliability.md has the results.

    python -m bench.attack [SHARE]

Runs the attacks one after the other, each at its full length or, for a SHARE below 1, so much of
it, and prints one line for each and then one for all. One alone: `python -m bench.attack_fuzz`
and so on.
"""

import json
import subprocess
import sys
import time

from bench import needs

# What each takes: how many inputs, files or kills at full length; the folder is always the same.
PARTS = {
    "attack_fuzz": 100_000,
    "attack_undo": 600,
    "attack_damage": 800,
    "attack_kills": 400,
    "attack_folder": None,
}


def main() -> None:
    needs.linux()
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    start, results = time.monotonic(), []
    for part, count in PARTS.items():
        words = [] if count is None else [str(max(1, round(count * share)))]
        command = [sys.executable, "-m", f"bench.{part}", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout, end="", flush=True)
        results.append(json.loads(done.stdout))
    seconds = round(time.monotonic() - start)
    print(json.dumps({"bench": "attack", "share": share, "parts": results, "seconds": seconds}))


if __name__ == "__main__":
    main()
