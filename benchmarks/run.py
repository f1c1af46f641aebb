"""Benchmarks of the living world: python benchmarks/run.py prints one table.

Every ratio compares figures of this very run. Give the machine nothing else to do. Needs the
extra [bench] (tpchgen-cli); takes a few minutes and about 4 GB of disk in a temporary folder.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parent))

from measure import BIN, Cost, best_of, cost_of, gen

LARGE = "initial_merchants: 50000\n"
# TPC-H line items at scale factor 1.
LINE_ITEMS = 6_001_215


class Bench:
    """One run of all benchmarks in a folder of its own."""

    def __init__(self, folder: Path, days: int, repeat: int) -> None:
        self.folder, self.days, self.repeat = folder, days, repeat
        self.rows: list[tuple[str, str, str, bool]] = []
        (folder / "large.yaml").write_text(LARGE)

    def note(self, what: str, bar: str, figure: str, passed: bool) -> None:
        """Keep a line of the table."""
        self.rows.append((what, bar, figure, passed))
        print(f"  {what}: {figure}", file=sys.stderr, flush=True)

    def clean(self) -> None:
        """Remove the worlds of a measurement."""
        for name in ("state", "raw_data", "tpch"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def world(self, start: str, end: str, *options: str) -> Cost:
        """Return the cost of a fresh world."""
        self.clean()
        return cost_of(
            gen("--initial", "--start-date", start, "--end-date", end, *options), self.folder
        )

    def payments(self) -> int:
        """Return the payments of the world that was made last."""
        files = sorted((self.folder / "raw_data").glob("transactions_*.csv"))
        # Piece by piece: a child's peak memory begins with what this process once held.
        total = -len(files)
        for path in files:
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    total += piece.count(b"\n")
        return total


def large_run(bench: Bench, workers: int, end: str) -> Cost:
    """Return the cost of the large world with a number of workers."""
    return bench.world("2024-01-01", end, "--config", "large.yaml", "--workers", str(workers))


def two_workers(bench: Bench, end: str) -> tuple[Cost, Cost]:
    """Return the costs of the large world with one worker and with two, run in turn."""
    pairs = [(large_run(bench, 1, end), large_run(bench, 2, end)) for _ in range(bench.repeat)]
    return best_of([one for one, _ in pairs]), best_of([two for _, two in pairs])


def side_by_side(bench: Bench) -> float:
    """Return the seconds that two one-worker runs take that know nothing of each other."""
    bench.clean()
    end = f"2024-01-{bench.days:02d}"
    options = ["--start-date", "2024-01-01", "--end-date", end, "--config", "large.yaml"]
    commands = [
        [*gen("--initial", *options, "--workers", "1"), "--state-dir", f"state/{name}",
         "--output-dir", f"raw_data/{name}"]
        for name in ("a", "b")
    ]  # fmt: skip
    began = monotonic()
    runs = [subprocess.Popen(command, cwd=bench.folder) for command in commands]
    if any(run.wait() for run in runs):
        raise SystemExit("a run failed")
    return monotonic() - began


def bare_writer(bench: Bench) -> float:
    """Return the CPU seconds that the CSV writer alone needs for the large world's payments."""
    script = str(Path(__file__).parent / "writer.py")
    command = [sys.executable, script, "50000", str(bench.days), str(bench.folder / "bare.csv")]
    found = []
    for _ in range(bench.repeat):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append(float(output.split()[1]))
    (bench.folder / "bare.csv").unlink()
    return min(found)


def rust_generator(bench: Bench) -> Cost:
    """Return the cost of tpchgen-cli's line items at scale factor 1, as CSV."""
    command = [BIN / "tpchgen-cli", "csv", "-s", "1", "--tables=lineitem", "--output-dir", "tpch"]
    costs = []
    for _ in range(bench.repeat):
        bench.clean()
        costs.append(cost_of(command, bench.folder))
    return best_of(costs)


def speed(bench: Bench) -> None:
    """Measure the large world against the writer, the Rust generator, two workers, the default."""
    one, two = two_workers(bench, f"2024-01-{bench.days:02d}")
    rows = bench.payments()
    rate = rows / one.cpu / 1e6
    writer, rust = bare_writer(bench), rust_generator(bench)
    rust_rate = LINE_ITEMS / rust.cpu / 1e6
    bench.note(
        f"CPU of the large world ({rows / 1e6:.1f} million rows) to the bare CSV writer",
        "<= 2.0", f"{one.cpu / writer:.2f} ({one.cpu:.2f} s to {writer:.2f} s)",
        one.cpu / writer <= 2.0,
    )  # fmt: skip
    bench.note(
        "rows per CPU-second to tpchgen-cli (lineitem, CSV, SF 1)",
        ">= 1.0", f"{rate / rust_rate:.2f} ({rate:.2f} to {rust_rate:.2f} million)",
        rate / rust_rate >= 1.0,
    )  # fmt: skip
    bench.note(
        "peak memory, large world", "< 1,000 MB", f"{one.peak_mb:.0f} MB", one.peak_mb < 1000
    )
    alone, shared = two_workers(bench, "2024-02-29")
    bench.note(
        "wall time, one worker to two, large world, 60 days",
        ">= 1.7", f"{alone.wall / shared.wall:.2f} ({alone.wall:.2f} s to {shared.wall:.2f} s)",
        alone.wall / shared.wall >= 1.7,
    )  # fmt: skip
    bench.note(
        f"for comparison: the same over {bench.days} days; imports and birth take half a second",
        "", f"{one.wall / two.wall:.2f} ({one.wall:.2f} s to {two.wall:.2f} s)", True,
    )  # fmt: skip
    apart = side_by_side(bench)
    bench.note(
        "for comparison: two separate runs side by side, throughput to one",
        "", f"{2 * one.wall / apart:.2f} (what the machine's two cores give at most)", True,
    )  # fmt: skip
    default = ("2022-01-01", "2023-12-31", "--workers", "1")
    small = best_of([bench.world(*default) for _ in range(bench.repeat)])
    small_rate = bench.payments() / small.cpu / 1e6
    bench.note(
        "rows per CPU-second, default world of two years to the large one",
        ">= 0.7", f"{small_rate / rate:.2f} ({small_rate:.2f} to {rate:.2f} million)",
        small_rate / rate >= 0.7,
    )  # fmt: skip
    short = bench.world("2022-01-01", "2022-03-01", "--workers", "1")
    bench.note(
        "peak memory, default world, 730 days to 60 days",
        "<= 1.1, < 400 MB",
        f"{small.peak_mb / short.peak_mb:.2f} ({small.peak_mb:.0f} MB to {short.peak_mb:.0f} MB)",
        small.peak_mb / short.peak_mb <= 1.1 and small.peak_mb < 400,
    )


def latency(bench: Bench) -> None:
    """Measure a nightly run with a year of history, and the help."""
    bench.world("2023-01-01", "2023-12-31")
    nights = [
        cost_of(gen("--incremental", "--date", f"2024-01-{day:02d}"), bench.folder)
        for day in range(1, 6)
    ]
    night = best_of(nights)
    bench.note(
        "nightly run, default world with a year of history, wall",
        "< 1 s", f"{night.wall:.2f} s", night.wall < 1,
    )  # fmt: skip
    helps = best_of([cost_of([BIN / "gen", "--help"], bench.folder) for _ in range(10)])
    typer = [sys.executable, "-c", "import typer"]
    imports = best_of([cost_of(typer, bench.folder) for _ in range(10)])
    bench.note(
        "gen --help to python -c 'import typer', wall",
        "<= 2.0", f"{helps.wall / imports.wall:.2f} ({helps.wall:.3f} s to {imports.wall:.3f} s)",
        helps.wall / imports.wall <= 2.0,
    )  # fmt: skip


def main() -> int:
    """Run the benchmarks and print the table; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=20, help="days of the large world (13 or more)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.days, options.repeat)
        latency(bench)
        speed(bench)
    width = max(len(row[0]) for row in bench.rows)
    print(f"| {'what':<{width}} | bar | measured | |")
    print(f"| {'-' * width} | --- | --- | --- |")
    for what, bar, figure, passed in bench.rows:
        print(f"| {what:<{width}} | {bar} | {figure} | {'ok' if passed else 'MISSED'} |")
    return 0 if all(row[3] for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
