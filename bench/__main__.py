"""All benchmarks, one after the other: `python -m bench`. Each runs on its own too, see its docstring for options."""

import subprocess
import sys

# in the order in which a signal goes through the platform
ALL = ("detect", "alerts", "journeys", "slos", "analytics", "federation", "events")

for name in ALL:
    print(f"\n== bench.{name}", flush=True)
    if subprocess.call([sys.executable, "-m", f"bench.{name}"]):
        sys.exit(f"bench.{name} failed")
