#!/usr/bin/env bash
# The figures as Prometheus takes them: promtool finds nothing to say, a real server scrapes them with an
# operator's key, and a tenant's key is refused.
#
#   tests/peers/prometheus.sh MESH
set -euo pipefail
mesh=$1
folder=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

export MESH_DATA=$folder/data
"$mesh" up --listen 127.0.0.1:0 --output json >"$folder/ready" 2>"$folder/node.log" &
pids+=($!)
for _ in $(seq 300); do [ -s "$folder/ready" ] && break; sleep 0.1; done
url=$(sed -n 's|.*"http":"\([^"]*\)".*|\1|p' "$folder/ready")
key=$MESH_DATA/operator.key
printf 'name: echo\nsteps: [{ id: say, skill: text.echo, with: { text: hello } }]\n' >"$folder/echo.yaml"
"$mesh" definitions publish "$folder/echo.yaml" >/dev/null
for _ in 1 2 3; do "$mesh" runs submit echo >/dev/null; done

curl -sf -H "authorization: Bearer $(cat "$key")" "$url/metrics" | promtool check metrics
echo "promtool: nothing to say"

"$mesh" tenants create acme >/dev/null
tenant=$("$mesh" keys create ci --tenant acme --role admin --output json | sed -n 's/.*"secret":"\([^"]*\)".*/\1/p')
[ -n "$tenant" ] || { echo "no key was made" >&2; exit 1; }
status=$(curl -s -o /dev/null -w '%{http_code}' -H "authorization: Bearer $tenant" "$url/metrics")
[ "$status" = 403 ] || { echo "a tenant's key was answered $status" >&2; exit 1; }

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/prometheus.yml" <<YAML
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: mesh
    authorization: { credentials_file: $key }
    static_configs: [{ targets: ["${url#http://}"] }]
YAML
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/tsdb" \
    --web.listen-address="127.0.0.1:$port" --log.level=error >"$folder/prometheus.log" 2>&1 &
pids+=($!)
ask() { curl -s -G "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1"; }
question='sum(mesh_messages_total{kind="run",outcome="handled"}) >= 6 and on() up{job="mesh"} == 1'
for _ in $(seq 150); do
    ask "$question" | grep -q '"value":' && { echo "prometheus: the scraped sums are there"; exit 0; }
    sleep 0.2
done
echo "prometheus did not get the figures" >&2
tail -n 20 "$folder/prometheus.log" >&2
exit 1
