#!/bin/sh
# Proves docker-compose.yml: builds the images, starts the default profile, makes a spoken call through the containers,
# looks into the airline's ledger, and takes down what it started, however it ends. Needs Docker with compose 2 or newer.
#   PORT=18080   the port to publish     SPEED=3   how many times faster than real time the call is spoken
set -eu
cd "$(dirname "$0")/.."
RINGBACK=$PWD/.venv/bin/ringback
SPEED=${SPEED:-3}
# A free port of our own, so that a stack that runs here is not in the way.
PORT=${PORT:-$(.venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')}
export PORT RINGBACK_OTLP_ENDPOINT=
# One build at a time: without a newer builder side by side means the shared stages several times.
export COMPOSE_PARALLEL_LIMIT=1 COMPOSE_PROGRESS=plain
PROJECT=ringback-test-$$
RESERVATION=482915

say() { printf 'compose-test: %s (%d s)\n' "$*" "$(($(date +%s) - BEGAN))"; }
BEGAN=$(date +%s)

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose --project-name "$PROJECT" "$@"; }
elif docker-compose version >/dev/null 2>&1; then
    compose() { docker-compose --project-name "$PROJECT" "$@"; }
else
    echo "compose-test: docker with compose 2 or newer is needed" >&2
    exit 2
fi
docker info >/dev/null 2>&1 || { echo "compose-test: no Docker engine answers; is it running, may you use it?" >&2; exit 2; }

OUT=$(mktemp -d)
finish() {
    code=$?
    trap - EXIT INT TERM
    if [ $code -ne 0 ]; then
        echo "compose-test: FAILED; state and last words of the containers:" >&2
        compose ps --all >&2 || true
        compose logs --no-color --tail 40 >&2 || true
    fi
    compose down --volumes --timeout 20 >"$OUT/down" 2>&1 || cat "$OUT/down" >&2
    rm -rf "$OUT"
    say "taken down"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

compose build >"$OUT/build" 2>&1 || { tail -40 "$OUT/build" >&2; exit 1; }
say "images built"
docker images --filter reference='ringback/*:local' --format '{{.Repository}}  {{.Size}}' | sed 's/^/  /'

compose up --detach --no-build >"$OUT/up" 2>&1 || { tail -40 "$OUT/up" >&2; exit 1; }
for _ in $(seq 60); do
    state=$(docker inspect --format '{{.State.Health.Status}}' "$(compose ps --quiet session)")
    [ "$state" = healthy ] && break
    sleep 1
done
[ "$state" = healthy ] || { echo "compose-test: session is $state, healthy expected" >&2; exit 1; }
say "all containers healthy, Realtime on 127.0.0.1:$PORT"

# Who they run as, that they cannot write their own files, and that one port is published.
for id in $(compose ps --all --quiet); do
    docker inspect --format '{{.Name}} user={{.Config.User}} readonly={{.HostConfig.ReadonlyRootfs}} ports={{json .HostConfig.PortBindings}}' "$id"
done >"$OUT/containers"
if grep -v 'user=10001:10001 readonly=true' "$OUT/containers"; then
    echo "compose-test: a container above is not user 10001 on a read-only file system" >&2
    exit 1
fi
published=$(grep -c '"HostPort"' "$OUT/containers")
[ "$published" = 1 ] && grep -q "session.*\"HostIp\":\"127.0.0.1\",\"HostPort\":\"$PORT\"" "$OUT/containers" ||
    { cat "$OUT/containers" >&2; echo "compose-test: the Realtime port alone is to be published" >&2; exit 1; }

RINGBACK_API_KEY=$(compose run --rm --no-deps --entrypoint cat keys /secrets/caller/local.key 2>"$OUT/key") || { cat "$OUT/key" >&2; exit 1; }
export RINGBACK_API_KEY
"$RINGBACK" call packs/airline/calls/refund.yaml --url "http://127.0.0.1:$PORT/v1" --speed "$SPEED"
say "the call is over"

compose exec -T reservations python -c '
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen("http://127.0.0.1:8080/ledger", timeout=5).read().decode())' >"$OUT/ledger"
.venv/bin/python - "$OUT/ledger" "$RESERVATION" <<'END'
import json, sys

entries = json.load(open(sys.argv[1]))["entries"]
found = [(entry["effect"], entry["reservation_id"]) for entry in entries]
if found != [("refund", sys.argv[2])]:
    sys.exit(f"compose-test: one refund of {sys.argv[2]} expected in the airline's ledger, found {entries}")
print(f"  ledger: {entries[0]}")
END
say "passed"
