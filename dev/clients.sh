#!/bin/sh
# Released Realtime clients through Ringback. Each has an environment of its own under var/clients, made from its lock.
#   setup   make the environments     run [pytest options]   set up and play every scene     lock   resolve versions again
set -eu
cd "$(dirname "$0")/.."
UV=$PWD/.venv/bin/uv
CLIENTS=tests/e2e/clients
VAR=var/clients
PYTHON_CLIENTS="openai openai-agents pipecat livekit"
SETUP_S=${SETUP_S:-300}
# Seven minutes on two busy cores (load 8).
RUN_S=${RUN_S:-900}

say() { printf 'clients: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
sum() { cat "$@" | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }
bounded() { # bounded SECONDS COMMAND…: what waits for an address that never answers is ended
    limit=$1
    shift
    if command -v timeout >/dev/null; then timeout --foreground -s INT -k 30 "$limit" "$@"; else "$@"; fi
}
fresh() { [ -f "$1/.ready" ] && [ "$(cat "$1/.ready")" = "$2" ]; }

setup_python() { # setup_python NAME
    at="$VAR/$1" lock="$CLIENTS/locks/$1.lock"
    wanted="$(sum "$lock") $(.venv/bin/python --version) $PWD"
    fresh "$at" "$wanted" && return 0
    say "$1: $(grep -c '^[^ ]' "$lock") packages"
    rm -rf "$at"
    "$UV" venv --quiet --python .venv/bin/python "$at"
    bounded "$SETUP_S" env VIRTUAL_ENV="$PWD/$at" "$UV" pip sync --quiet --require-hashes "$lock" ||
        die "$1 cannot be installed from $lock: is a Python package index reachable from here? (its cache may hold some of it)"
    printf '%s' "$wanted" >"$at/.ready"
}

setup_node() {
    at="$VAR/agents-js" from="$CLIENTS/node"
    command -v node >/dev/null && command -v npm >/dev/null ||
        die "agents-js needs node (20 or newer) and npm, and they are not here"
    wanted="$(sum "$from/package.json" "$from/package-lock.json" "$from/.npmrc") $(node --version) $PWD"
    fresh "$at" "$wanted" && return 0
    say "agents-js: $(grep -c '"integrity"' "$from/package-lock.json") packages"
    rm -rf "$at"
    mkdir -p "$at"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$at"
    (cd "$at" && bounded "$SETUP_S" npm ci --silent --no-audit --no-fund) ||
        die "agents-js cannot be installed from $from/package-lock.json: is an npm registry reachable from here?"
    printf '%s' "$wanted" >"$at/.ready"
}

setup() {
    mkdir -p "$VAR"
    for name in $PYTHON_CLIENTS; do setup_python "$name"; done
    setup_node
}

lock() {
    for name in $PYTHON_CLIENTS; do
        "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
            -o "$CLIENTS/locks/$name.lock" "$CLIENTS/locks/$name.in"
    done
    (cd "$CLIENTS/node" && npm install --silent --package-lock-only)
}

case ${1:-run} in
setup) setup ;;
lock) lock ;;
run)
    [ $# -eq 0 ] || shift
    setup
    bounded "$RUN_S" .venv/bin/python -m pytest tests/e2e/clients -v --timeout 180 --no-header --tb=short "$@"
    ;;
*) echo "usage: dev/clients.sh setup|run|lock" >&2; exit 2 ;;
esac
