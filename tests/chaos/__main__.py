"""`python -m tests.chaos [--faults N] [--seed N...] [--managers N] [--agents N] [--history FOLDER]`.

The package is what APPLIANCE_PACKAGE names, else dist/appliance. Needs root. Ends with 1 when a promise broke; the
history and the hosts' logs then lie in FOLDER.
"""

import argparse
import os
import sys
from pathlib import Path

from tests.chaos.run import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many have to happen, for each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--managers", type=int, default=3)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--history", type=Path, default=Path("/var/tmp/appliance-chaos"))
    chosen = parser.parse_args()
    package = Path(os.environ.get("APPLIANCE_PACKAGE", "dist/appliance")).resolve()
    chosen.history.mkdir(parents=True, exist_ok=True)
    broken = 0
    for seed in chosen.seed:
        print(f"seed {seed}", flush=True)
        summary = chaos(
            package,
            seed=seed,
            faults=chosen.faults,
            managers=chosen.managers,
            agents=chosen.agents,
            log=chosen.history / f"seed-{seed}.jsonl",
            tell=lambda text: print(text, flush=True),
        )
        print("\n".join(summary.lines()), flush=True)
        broken += bool(summary.broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
