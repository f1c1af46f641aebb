"""The golden worlds: small, over a leap day and a month's end, in both formats."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from payworld import __version__, generate

GOLDEN = Path(__file__).with_name("golden.json")

# What the bytes may depend on besides payworld itself.
LIBRARIES = ("faker", "numpy", "orjson", "polars", "pyarrow")

CONFIG: dict[str, Any] = {
    "initial_merchants": 60,
    "attribute_change_multiplier": 15.0,
    "card_store_probability": 0.05,
    "max_stored_cards": 100,
}


def versions() -> dict[str, str]:
    """Return the versions that hashes hold for."""
    return {
        "payworld": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name) for name in LIBRARIES},
    }


def make_worlds(root: Path) -> dict[str, str]:
    """Make the golden worlds in a folder; returns the SHA-256 of every file by relative name."""
    from datetime import date

    hashes = make_streams(root / "fraud")
    for file_format in ("csv", "parquet"):
        state, output = root / file_format / "state", root / file_format / "raw_data"
        for start, end in ((date(2024, 2, 27), date(2024, 3, 1)), (None, date(2024, 3, 2))):
            generate(
                start,
                end_date=end,
                state_dir=state,
                output_dir=output,
                file_format="csv" if file_format == "csv" else "parquet",
                config=None if start is None else CONFIG,
            )
        for path in sorted((root / file_format).rglob("*.*")):
            name = str(path.relative_to(root))
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def make_streams(folder: Path) -> dict[str, str]:
    """Make the golden fraud stream in both formats; returns the SHA-256 of every file."""
    from datetime import date

    from payworld import fraud
    from payworld.datasets.fraud_stream.run import FraudRun
    from payworld.datasets.fraud_stream.schema import own_schema

    changes = {"total_rows": 20_000, "fraud_rate": 0.01, "realism": "v2", "out_dir": str(folder)}
    catalog = {"num_customers": 800, "num_merchants": 120, "num_cards": 1_500}
    config = fraud.load_config()
    smaller = config.catalog.model_copy(update=catalog)
    config = config.model_copy(update={**changes, "num_workers": 1, "catalog": smaller})
    run_date = date(2024, 3, 2)
    for file_format in ("parquet", "csv"):
        run = FraudRun(config.dated(run_date), own_schema(), run_date, file_format, explain=True)
        run.write(lambda _: None)
    return {
        str(path.relative_to(folder.parent)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.*"))
        if path.is_file()
    }


def read_golden() -> dict[str, Any]:
    """Return the committed versions and hashes."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found
