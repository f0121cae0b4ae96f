#!/bin/sh
# Resolves every declared dependency into the lock files: versions and hashes, no registry address.
set -eu
cd "$(dirname "$0")/.."
UV=.venv/bin/uv
set --
for folder in libs/* services/*; do
    set -- "$@" --no-emit-package "ringback-$(basename "$folder")"
done
$UV pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev \
    "$@" -o requirements.lock pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml
# The two wheels whose weights we read. Their packages are never imported, so their dependencies are not wanted.
printf 'silero-vad==6.2.3\nmoonshine-voice==0.0.73\n' |
    $UV pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-deps \
        -o requirements-models.lock -
# The released clients that `make clients` runs.
sh dev/clients.sh lock
