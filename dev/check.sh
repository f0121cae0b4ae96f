#!/bin/sh
# Every check that needs no running stack. Types run beside the rest; each step prints one line, a failed one its output.
set -u
cd "$(dirname "$0")/.."
BIN=$PWD/.venv/bin
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CACHE=${RINGBACK_CHECK_CACHE:-.mypy_cache}

step() { # step NAME COMMAND…
    name=$1
    shift
    began=$(date +%s)
    if "$@" >"$WORK/$name.out" 2>&1; then
        printf '  ok      %-22s %3d s\n' "$name" $(($(date +%s) - began))
    else
        printf '  FAILED  %-22s %3d s\n' "$name" $(($(date +%s) - began))
        sed 's/^/          /' "$WORK/$name.out"
        touch "$WORK/failed"
    fi
}

contracts_fresh() {
    sh dev/contracts.sh "$WORK/generated" &&
        diff -r -q -x __pycache__ "$WORK/generated" libs/contracts/src ||
        { echo "libs/contracts is not what proto/ generates. Run: make contracts"; return 1; }
}

contracts_compatible() {
    for released in tests/contract/released/*.binpb; do
        (cd proto && "$BIN/buf" breaking --against "../$released") ||
            { echo "proto/ breaks clients of the release $(basename "$released" .binpb): add fields, never change or reuse them"; return 1; }
    done
}

lint_contracts() { (cd proto && "$BIN/buf" lint); }

locks_clean() {
    ! grep -nE '://|^(--)?(extra-)?index|find-links' requirements.lock requirements-models.lock tests/e2e/clients/locks/*.lock ||
        { echo "a lock file names an address; run: make lock"; return 1; }
    ! grep -n '"resolved"' tests/e2e/clients/node/package-lock.json ||
        { echo "package-lock.json names addresses; run: make lock"; return 1; }
    ! ls uv.lock pylock.toml 2>/dev/null || { echo "these record registry addresses: do not keep them"; return 1; }
}

types() {
    "$BIN/mypy" --cache-dir "$CACHE" \
        $(ls -d libs/*/src services/*/src packs/*/backend 2>/dev/null | grep -v '^libs/contracts/')
}

began=$(date +%s)
step types types &
step contracts-fresh contracts_fresh
step contracts-lint lint_contracts
step contracts-breaking contracts_compatible
step locks locks_clean
step lint "$BIN/ruff" check --quiet .
step format "$BIN/ruff" format --check --quiet .
step imports "$BIN/lint-imports" --no-cache
step architecture "$BIN/python" -m pytest tests/architecture -p no:cacheprovider --tb=short
wait
printf 'make check: %d s\n' $(($(date +%s) - began))
[ ! -e "$WORK/failed" ]
