#!/usr/bin/env bash
# Writes the locks of this folder anew from pyproject.toml. Versions that still
# fit are kept; add --upgrade, or --upgrade-package NAME, to move on.
# Takes uv from the .venv, or else from the PATH.
set -euo pipefail

self=$(readlink -f -- "${BASH_SOURCE[0]}")
cd "${self%/*}/.."
uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv

compile() {
    "$uv" pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

# What .venv is filled with, and hence not part of what it is filled from.
compile --group bootstrap --output-file requirements/bootstrap.txt "$@"
compile pyproject.toml --group build --extra test --extra s3 --extra db --extra bench \
    --output-file requirements/test.txt "$@"
# Held to test.txt, so that what was tested is what runs. With the extras of its own commands: a
# checkout can load and publish without a further step.
compile pyproject.toml --group build --extra s3 --extra db --constraint requirements/test.txt \
    --output-file requirements/run.txt "$@"

# The jobs of tests/jobs/: what they need does not fit beside the test tools.
compile pyproject.toml --group build --group spark --extra spark \
    --constraint requirements/test.txt --output-file requirements/spark.txt "$@"
compile pyproject.toml --group build --group airflow \
    --constraint requirements/test.txt --output-file requirements/airflow.txt "$@"
# dbt wants an older pathspec than mypy does: the other packages of a run are held.
sed -n '/^pathspec==/d; s/^\([A-Za-z0-9].*==.*[^ ]\) \\$/\1/p' requirements/run.txt |
    compile pyproject.toml --group build --group dbt \
        --constraint - --output-file requirements/dbt.txt "$@"
