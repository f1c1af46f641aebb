#!/usr/bin/env bash
# ./run_tests.sh            every check, then the whole test suite, the slow tests too
# ./run_tests.sh ARGS...    pytest ARGS alone, without the checks: -m "not slow", -k state
set -euo pipefail

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"
ensure_venv test

cd "$root"
# Tests start `gen` and the tools by name, as a user does.
export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"

if (($# > 0)); then
    exec python -m pytest "$@"
fi

failed=()
check() {
    printf '$ %s\n' "$*"
    # One that fails does not hide what the next ones, or the tests, have to say.
    "$@" || failed+=("$*")
}
check ruff check .
check ruff format --check .
check mypy
check lint-imports --no-logo
# Counting logical cores: with psutil installed, `auto` counts physical ones.
check python -m pytest -n logical --dist loadgroup

if ((${#failed[@]} > 0)); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
