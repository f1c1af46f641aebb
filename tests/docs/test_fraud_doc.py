"""Every command, program and table of docs/fraud.md is true."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from payworld.datasets.fraud_stream.schema import own_schema
from payworld.storage.fraud_s3 import ARTIFACTS_PARAMETER, RAW_PARAMETER

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/fraud.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands(kind: str) -> list[str]:
    return [line for block in blocks(kind) for line in block.splitlines()]


def run(command: str, here: Path, **environment: str) -> str:
    python = f'"{sys.executable}"'
    line = re.sub(r"\bgen fraud\b", f"{python} -m payworld.fraud", command)
    line = re.sub(r"^python ", f"{python} ", line)
    result = subprocess.run(
        ["bash", "-c", line],
        cwd=here,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stderr}"
    return result.stdout


@pytest.mark.slow
# A dozen runs, one of a million rows.
@pytest.mark.timeout(300)
def test_every_command_works(tmp_path: Path) -> None:
    for name, text in re.findall(r"^```yaml file=(\S+)\n(.*?)^```$", TEXT, re.M | re.S):
        (tmp_path / name).write_text(text)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    lines = commands("sh")
    assert len(lines) >= 8
    for line in lines:
        run(line, tmp_path)


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "RAW_BUCKET": "",
    }
    arguments = {
        "aws_access_key_id": "nobody",
        "aws_secret_access_key": "nothing",
        "region_name": "us-east-1",
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
    }
    s3, ssm = boto3.client("s3", **arguments), boto3.client("ssm", **arguments)
    for name in ("my-bucket", "raw", "artifacts"):
        s3.create_bucket(Bucket=name)
    ssm.put_parameter(Name=RAW_PARAMETER, Value="raw", Type="String")
    ssm.put_parameter(Name=ARTIFACTS_PARAMETER, Value="artifacts", Type="String")
    yield environment
    s3.close()
    ssm.close()
    server.stop()


@pytest.mark.slow
def test_every_upload_works(tmp_path: Path, bucket: dict[str, str]) -> None:
    said = [run(line, tmp_path, **bucket).splitlines() for line in commands("sh s3")]
    assert [len(lines) for lines in said] == [1, 4, 1]
    assert said[0][0].startswith("s3://raw/payments/year=")
    assert said[1][0] == "s3://artifacts/catalogues/customers.parquet"
    assert said[2] == said[1][-1:]


def test_the_program_works(tmp_path: Path) -> None:
    (program,) = blocks("python")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_the_table_of_columns_is_the_schema() -> None:
    rows = [
        f"| `{f.name}` | {f.dtype} | {'yes' if f.nullable else 'no'} | {f.description} |"
        for f in own_schema().fields
    ]
    assert "\n".join(rows) in TEXT
