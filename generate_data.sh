#!/usr/bin/env bash
# Runs `gen` with the arguments given, from any folder: makes or refreshes .venv
# beside this file first if need be. Only gen writes to stdout.
# What gen reads and writes by default is this repository's state/ and raw_data/;
# options, PAYWORLD_STATE_DIR and PAYWORLD_OUTPUT_DIR, or a configuration file name
# other places, and relative ones mean the caller's folder.
set -euo pipefail

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"
ensure_venv run

export PAYWORLD_HOME="${PAYWORLD_HOME:-$root}"
exec "$venv/bin/gen" "$@"
