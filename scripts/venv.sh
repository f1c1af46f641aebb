# Sourced by generate_data.sh and run_tests.sh, which set $root (the repository)
# and `set -euo pipefail`. Gives ensure_venv. Works in bash 3.2, which macOS ships.
# A kind is a lock in requirements/: run and test share .venv, a job (spark, dbt,
# airflow) has a .venv-JOB of its own.
# shellcheck shell=bash

# venv_choose KIND: sets $venv and $venv_stamp_file, which all below use.
venv_choose() {
    case $1 in
    run | test) venv="$root/.venv" ;;
    *) venv="$root/.venv-$1" ;;
    esac
    # Written last, so that a venv without it is one whose making was interrupted.
    venv_stamp_file="$venv/payworld-stamp"
}

venv_say() {
    printf 'payworld: %s\n' "$*" >&2
}

venv_sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

# venv_stamp KIND: what a current .venv of this kind has in its stamp.
venv_stamp() {
    local sum
    sum=$(cat "$root/requirements/bootstrap.txt" "$root/requirements/$1.txt" \
        "$root/pyproject.toml" "$root/scripts/venv.sh" | venv_sha256)
    # The folder is part of it: a venv names its own folder inside, so one that
    # was copied or moved along with the tree would run the code of the old place.
    printf '%s %s %s' "$1" "${sum%% *}" "$root"
}

# venv_kind KIND: the kind to ask for. A .venv made for the tests serves runs too
# (run.txt is a subset of test.txt), so a run never takes the test tools away.
venv_kind() {
    local stamp=''
    if [[ -r $venv_stamp_file ]]; then stamp=$(<"$venv_stamp_file"); fi
    if [[ $stamp == 'test '* ]]; then echo test; else echo "$1"; fi
}

# venv_is_current KIND: starts no Python, for every nightly run passes through here.
venv_is_current() {
    [[ -x $venv/bin/python && -x $venv/bin/gen && -r $venv_stamp_file ]] &&
        [[ $(<"$venv_stamp_file") == "$(venv_stamp "$1")" ]]
}

venv_python_suits() {
    # Debian splits ensurepip off into a package of its own.
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

venv_find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if command -v "$candidate" >/dev/null && venv_python_suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    venv_say 'no usable Python: expected python3 on the PATH, 3.11 or newer, with its venv module.'
    venv_say "found: $(python3 --version 2>&1 || true)"
    venv_say 'Install it (Debian and Ubuntu: apt-get install python3 python3-venv) and run this again.'
    return 1
}

# venv_build KIND PYTHON: runs in a subshell that holds the lock.
venv_build() {
    local kind=$1 python=$2 stamp
    # Of the files as they are now: an edit made meanwhile must not pass for installed.
    stamp=$(venv_stamp "$kind")
    cd "$root"
    # Half made, of another folder (its scripts' first lines name it), or without a Python.
    if [[ ! -e $venv_stamp_file || $(<"$venv_stamp_file") != *" $root" ]] ||
        ! venv_python_suits "$venv/bin/python"; then
        venv_say "making ${venv##*/} with the locked packages of requirements/$kind.txt (a minute or so, this once)"
        "$python" -m venv --clear "$venv"
    else
        venv_say "bringing ${venv##*/} up to date with requirements/$kind.txt"
        rm -f "$venv_stamp_file"
    fi
    python=$venv/bin/python
    "$python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes --requirement requirements/bootstrap.txt
    # What is published as a source alone is built by tools of the lock too.
    "$python" -m uv pip sync --quiet --python "$python" --require-hashes \
        --build-constraints "requirements/$kind.txt" "requirements/$kind.txt"
    # Without isolation the build back end is the locked one, and nothing is fetched.
    "$python" -m uv pip install --quiet --python "$python" --no-deps --no-build-isolation --editable .
    printf '%s\n' "$stamp" >"$venv_stamp_file.new"
    mv -f "$venv_stamp_file.new" "$venv_stamp_file"
    venv_say "${venv##*/} is ready"
}

# ensure_venv KIND: leaves a current venv beside the scripts and its folder in
# $venv, or ends the script with a message. Call it plainly: inside `if` or `||`
# bash ignores `set -e`.
ensure_venv() {
    local kind python
    venv_choose "$1"
    kind=$(venv_kind "$1")
    if venv_is_current "$kind"; then return; fi
    python=$(venv_find_python)
    (
        exec 9>"$venv.lock"
        # Through Python, as macOS has no flock(1). The lock stays with descriptor 9,
        # so it goes when this subshell does, however that ends.
        "$python" - 9 "${venv##*/}" <<'PYTHON'
import fcntl, sys
fd = int(sys.argv[1])
try:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print(f"payworld: waiting for another set-up of {sys.argv[2]} to end", file=sys.stderr)
    fcntl.flock(fd, fcntl.LOCK_EX)
PYTHON
        # Whoever held the lock may have done the work, for either kind.
        kind=$(venv_kind "$1")
        if ! venv_is_current "$kind"; then venv_build "$kind" "$python"; fi
    ) >&2
}
