#!/bin/sh
# Runs the tests. `unit`: everything inside one process, side by side. `stack`: tests that start servers and services.
set -u
cd "$(dirname "$0")/.."
PYTEST=".venv/bin/python -m pytest"
run() { # pytest answers 5 when a folder holds no test yet
    "$@"
    code=$?
    [ $code -eq 5 ] && code=0
    return $code
}
present() { for path; do [ -d "$path" ] && printf '%s ' "$path"; done; }
case ${1:-all} in
unit) run $PYTEST $(present libs services packs tests/architecture tests/contract) -n "${WORKERS:-2}" --dist loadfile ;;
# tests/e2e/clients needs environments of its own: make clients.
stack) run $PYTEST $(present tests/integration tests/e2e tests/resilience) --ignore tests/e2e/clients --timeout 300 ;;
*) echo "usage: dev/test.sh unit|stack" >&2; exit 2 ;;
esac
