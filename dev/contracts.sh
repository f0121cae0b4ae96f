#!/bin/sh
# Generates the Python code of every contract into the folder given as the first argument.
set -eu
cd "$(dirname "$0")/.."
OUT=$1
mkdir -p "$OUT"
PROTOS=$(cd proto && find . -name '*.proto' | sed 's|^\./||' | sort)
.venv/bin/python -m grpc_tools.protoc -Iproto \
    --plugin=protoc-gen-mypy=.venv/bin/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=.venv/bin/protoc-gen-mypy_grpc \
    --python_out="$OUT" --grpc_python_out="$OUT" --mypy_out=quiet:"$OUT" --mypy_grpc_out=quiet:"$OUT" $PROTOS
for proto in $PROTOS; do
    folder=$(dirname "$proto")
    while [ "$folder" != . ]; do
        touch "$OUT/$folder/__init__.py"
        folder=$(dirname "$folder")
    done
done
touch "$OUT/ringback/py.typed"
