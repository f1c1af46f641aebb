#!/usr/bin/env bash
# ./run_tests.sh                     every check, then the tests but for the slow ones: a few minutes
# ./run_tests.sh --slow ARGS...      the slow tests: kills, real servers, ingests; CI runs them too
# ./run_tests.sh ARGS...             pytest ARGS alone, without the checks: -k state, tests/laws
# ./run_tests.sh --job JOB ARGS...   pytest ARGS on tests/jobs/JOB, in .venv-JOB: spark, dbt, airflow
set -euo pipefail

self=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${self%/*}
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"

need_java() {
    local java=${JAVA_HOME:+$JAVA_HOME/bin/}java found
    # Started, not looked up: macOS has a java that only says where to get one.
    found=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || true
    if ((${found:-0} >= 17)); then return; fi
    printf 'payworld: the job spark needs Java 17 or newer; %s -version tells: %s\n' \
        "$java" "${found:-nothing}" >&2
    printf 'Install it (Debian and Ubuntu: apt-get install openjdk-17-jre-headless) and run this again.\n' >&2
    exit 1
}

kind=test
# Counting logical cores: with psutil installed, `auto` counts physical ones.
parallel=(-n logical --dist loadgroup)
if [[ ${1-} == --slow ]]; then
    shift
    set -- "${parallel[@]}" -m slow "$@"
elif [[ ${1-} == --job ]]; then
    kind=${2-}
    case $kind in
    spark) need_java ;;
    dbt | airflow) ;;
    *)
        printf 'payworld: --job %s: expected spark, dbt or airflow\n' "$kind" >&2
        exit 2
        ;;
    esac
    shift 2
    set -- "tests/jobs/$kind" "$@"
fi
ensure_venv "$kind"

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
check python -m pytest "${parallel[@]}" -m "not slow"

if ((${#failed[@]} > 0)); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
