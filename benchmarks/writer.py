"""The bare CSV writer: CPU seconds to write payments that are already in memory.

Run as a process of its own; prints the CPU seconds of the writing alone, by polars' write_csv on
frames with exact types, block by block into one file, as the last word on stdout.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

from payworld.cli.tuning import tune_process

tune_process()

from payworld import Simulation  # noqa: E402  # after the process is tuned, as in gen


def main(merchants: int, days: int, path: Path) -> None:
    """Write the days' payments of a world and print rows and the CPU seconds of the writes."""
    simulation = Simulation.create(date(2024, 1, 1), initial_merchants=merchants)
    seconds, rows = 0.0, 0
    with path.open("wb") as file:
        for _ in range(days):
            frame = simulation.step().transactions()
            began = time.process_time()
            frame.write_csv(file, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S")
            seconds += time.process_time() - began
            rows += len(frame)
    sys.stdout.write(f"{rows} {seconds}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
