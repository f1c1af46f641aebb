"""One more day of the payments world every night, with Airflow 3 (tested with 3.3.2).

Put it into the folder of DAGs, and set PAYWORLD_HOME where payworld is not in /srv/payworld. A
world has to be there, begun with `gen --initial` and ending on the day before START.
"""

import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

HOME = Path(os.environ.get("PAYWORLD_HOME", "/srv/payworld"))
START = datetime(2024, 3, 1)

# A DAG that ingests runs after each night with schedule=[RAW_DATA].
RAW_DATA = Asset("payworld_raw_data", uri=(HOME / "raw_data").as_uri())

with DAG(
    dag_id="payworld",
    # A run for an interval begins at its end: `ds` is the day that is over, not the one it runs on.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone="UTC"),
    start_date=START,
    # Days on which Airflow did not run are made up for, in order, one at a time: a world has one
    # run at a time. A run makes every day that is missing up to its own, so one that failed is
    # made up for by the next, and one that is cleared or repeated finds nothing to do.
    catchup=True,
    max_active_runs=1,
) as dag:

    @task(retries=5, retry_delay=timedelta(minutes=10), outlets=[RAW_DATA])  # type: ignore[untyped-decorator]
    def generate(ds: str | None = None) -> None:
        """Make the days up to `ds`, or up to yesterday where a run has no date of its own."""
        date = ["--date", ds] if ds else []
        command = [f"{HOME}/.venv/bin/gen", "--incremental", *date, "-f", "-q"]
        code = subprocess.run(command, cwd=HOME, check=False).returncode  # noqa: S603
        if code in (2, 3):
            # Wrong usage, or a state that is missing or damaged: trying again does not help.
            raise AirflowFailException(f"gen ended with exit code {code}; its message is above")
        if code != 0:
            # 75: another run is at work. 1, a kill: the same command goes on where it ended.
            raise AirflowException(f"gen ended with exit code {code}; its message is above")

    generate()
