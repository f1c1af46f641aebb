#!/usr/bin/env bash
# Runs `gen` with the arguments given, from any folder: makes or refreshes .venv
# beside this file first if need be. Only gen writes to stdout.
# What gen reads and writes by default is this repository's state/ and raw_data/;
# PAYWORLD_STATE_DIR, PAYWORLD_OUTPUT_DIR or gen's own options name other places,
# and relative ones mean the caller's folder.
set -euo pipefail

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"
ensure_venv run

export PAYWORLD_STATE_DIR="${PAYWORLD_STATE_DIR:-$root/state}"
export PAYWORLD_OUTPUT_DIR="${PAYWORLD_OUTPUT_DIR:-$root/raw_data}"
exec "$venv/bin/gen" "$@"
