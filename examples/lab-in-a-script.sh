#!/usr/bin/env bash
# A test with a switch of its own: starts it, has its guests talk, and fails unless each packet met
# the verdict that it should. Any number of these run at once. Needs root, or, for any other user:
#   unshare -Urnm bash -c 'mount -t tmpfs tmpfs /run && exec examples/lab-in-a-script.sh'
set -euo pipefail
vswitch=${VSWITCH:-vswitch}
lab=$(mktemp -d)
export VSWITCH_CONTROL_SOCKET=$lab/control.sock VSWITCH_STATE_DIR=$lab/state
trap 'kill $daemon 2>/dev/null || true; wait; rm -r "$lab"' EXIT

cat > "$lab/lab.yaml" <<YAML
security_groups:
  - { name: web, rules: [{ direction: ingress, protocol: tcp, port_range_min: 80, port_range_max: 80 }] }
ports:
  - { name: client, fixed_ips: [10.77.1.11], tap: { netns: client-$$ } }
  - { name: server, fixed_ips: [10.77.1.12], tap: { netns: server-$$ }, security_groups: [web] }
flowlog_loggers: [{ name: all, aggregation_interval: 1s, storage_url: $lab/flowlogs }]
YAML

mkfifo "$lab/ready"
"$vswitch" run "$lab/lab.yaml" --ready-fd 3 3> "$lab/ready" 2> "$lab/log" & daemon=$!
read -r < "$lab/ready" || { cat "$lab/log"; exit 1; }    # the end without a line: it did not start

try() { ip netns exec "client-$$" timeout 1 bash -c "exec 4<>/dev/tcp/10.77.1.12/$1" 2>&1 || true; }
[[ $(try 80) == *refused* ]] || { echo "port 80 is open, and nothing listens: a reset was due"; exit 1; }
[[ $(try 22) == "" ]] || { echo "port 22 is closed: silence was due"; exit 1; }

kill "$daemon"; wait "$daemon"                           # the last interval is written at the end
cat > "$lab/refused.csv" <<CSV
dst_addr,protocol,dst_port,direction,filter
10.77.1.12,6,22,ingress,DROP
CSV
"$vswitch" logs "$lab/flowlogs" --verdict DROP --expect "$lab/refused.csv"   # these and no others, or exit code 1
echo "as expected"
