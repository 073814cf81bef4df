#!/usr/bin/env bash
# A run's trace as a collector of other people has it: rotel writes what it received to its log.
#
#   tests/peers/otlp.sh MESH ROTEL
set -euo pipefail
mesh=$1 rotel=$2
folder=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
grpc=$(port) http=$(port)
"$rotel" start --otlp-grpc-endpoint "127.0.0.1:$grpc" --otlp-http-endpoint "127.0.0.1:$http" \
    --exporter blackhole --debug-log traces --debug-log-verbosity detailed >"$folder/rotel.log" 2>&1 &
pids+=($!)

export MESH_DATA=$folder/data
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$grpc OTEL_SERVICE_NAME=factory OTEL_BSP_SCHEDULE_DELAY=200 \
    MESH_TELEMETRY_PATH_SAMPLE_ONE_IN=1 MESH_MODELS_CASSETTE=config/agents/cassettes/triage OPENAI_MODEL=gpt-4o \
    "$mesh" up --listen 127.0.0.1:0 --output json >"$folder/ready" 2>"$folder/node.log" &
pids+=($!)
for _ in $(seq 300); do [ -s "$folder/ready" ] && break; sleep 0.1; done

cat >"$folder/traced.yaml" <<'YAML'
name: traced
steps:
  - { id: say, skill: text.echo, with: { text: hello } }
  - { id: fall, skill: flow.fail, needs: [say], with: { message: it fell } }
YAML
"$mesh" definitions publish "$folder/traced.yaml" >/dev/null
run=$("$mesh" runs submit traced --output json | sed -n 's/.*"runId":"\([^"]*\)".*/\1/p')
[ -n "$run" ] || { echo "no run was submitted" >&2; exit 1; }

# An agent that answers from recorded traffic: its spans have the names of the conventions.
"$mesh" agents publish config/agents/triage.yaml >/dev/null
"$mesh" agents run triage -g "Where does this letter go?" -i letter="My invoice of May is wrong." >/dev/null 2>&1

has() { grep -q -- "$1" "$folder/rotel.log"; }
wanted=("run traced" "step say" "step fall" "fall #1" "it fell" "$run" factory
    accept admit route deliver decide record apply announce
    "invoke_agent triage" "chat gpt-4o" "execute_tool text_echo" gen_ai.usage.input_tokens)
for _ in $(seq 200); do
    missing=()
    for word in "${wanted[@]}"; do has "$word" || missing+=("$word"); done
    [ ${#missing[@]} = 0 ] && break
    sleep 0.1
done
if [ ${#missing[@]} != 0 ]; then
    echo "the collector did not get: ${missing[*]}" >&2
    tail -n 60 "$folder/rotel.log" "$folder/node.log" >&2
    exit 1
fi
echo "otlp: the collector has the run, its steps, its attempts, what an agent did, and the eight steps of the path"
