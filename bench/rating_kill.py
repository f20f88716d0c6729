"""Rating sessions killed at random moments: what of the confirmed choices is lost.

python -m bench.rating_kill [TIMES]
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.test_rating_kill import check_kills


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(40):
            (folder / f"{number:02d}.png").touch()
        print(json.dumps({"bench": "rating_kill", **check_kills(folder, times, seed=0)}))


if __name__ == "__main__":
    main()
