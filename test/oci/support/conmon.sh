# SPDX-License-Identifier: Apache-2.0
# What CRI-O does with conmon and the runtime, as functions (internal/oci/runtime_oci.go of cri-o). ROOTFS: a root.
S="$W/root"
# The namespaces of a pod are files that CRI-O pins, and no process of the pod holds them.
pins() { mkdir ns; touch ns/net ns/ipc ns/uts; unshare --net="$W/ns/net" --ipc="$W/ns/ipc" --uts="$W/ns/uts" hostname the-pod; }
# bundle ID TYPE [PYTHON]: a container of the pod, its config in `c`.
bundle() {
  mkdir -p "$1" exits attach
  runc spec -b "$1"
  python3 - "$@" <<'END'
import json, os, sys
name, kind, change = (sys.argv[1:] + [''])[:3]
path = name + '/config.json'
c = json.load(open(path))
W = os.environ['W']
c['root'] = {'path': os.environ['ROOTFS'], 'readonly': True}
c['process'].update(terminal=False, args=['sleep', '1000'])
c['process'].pop('rlimits', None)
c['hostname'] = 'the-pod'
c['annotations'] = {'io.kubernetes.cri-o.ContainerType': kind, 'io.kubernetes.cri-o.SandboxID': 'infra',
                    'io.kubernetes.cri-o.ContainerID': name, 'io.container.manager': 'cri-o'}
paths = {'network': 'net', 'ipc': 'ipc', 'uts': 'uts'}
c['linux']['namespaces'] = [{'type': 'pid'}, {'type': 'mount'}] + [{'type': t, 'path': f'{W}/ns/{f}'} for t, f in paths.items()]
c['linux']['cgroupsPath'] = os.environ['G'] + '/' + os.environ['C'] + '-' + name
exec(change)
json.dump(c, open(path, 'w'))
END
}
runtime() { "$BIN" --root "$S" "$@"; }
# monitor ID OPTION...: conmon with its two pipes; what it says of the container or of the exec's end is in ID.sync.
monitor() {
  local id=$1 sync start pid; shift
  rm -f "$id.pipe" "$id.go"; mkfifo "$id.pipe" "$id.go"
  exec {sync}<>"$id.pipe" {start}<>"$id.go"
  _OCI_SYNCPIPE=$sync _OCI_STARTPIPE=$start conmon -c "$id" -n "$id" -r "$BIN" --runtime-arg "--root=$S" --socket-dir-path "$W/attach" --log-level info "$@" {start}<"$id.go" 3>/dev/null &
  pid=$!
  printf '\0' >&$start
  read -r -t 40 -u $sync REPLY; echo "$REPLY" >"$id.sync"
  wait $pid; exec {sync}>&- {start}>&-
}
create() { local id=$1; shift; monitor "$id" -b "$W/$id" --exit-dir "$W/exits" -l "$W/$id.log" -P "$W/$id/conmon-pidfile" -p "$W/$id/pidfile" --persist-dir "$W/$id" --syslog -u "$id" "$@"; }
created() { grep -qE '"(pid|data)": ?[1-9]' "$1.sync"; }
up() { bundle "$@"; create "$1"; created "$1" || cat "$1.sync"; runtime start "$1"; }
# process COMMAND...: process.json of an exec, complete.
process() { python3 -c 'import json, sys; c = json.load(open(sys.argv[1] + "/config.json"))["process"]; c["args"] = sys.argv[2:]; json.dump(c, open("process.json", "w"))' "$@"; }
# exec_sync ID SECONDS COMMAND...: ExecSync.
exec_sync() {
  local id=$1 seconds=$2; shift 2; process "$id" "$@"; : >exec.log; rm -f exec.pid
  monitor "$id" -p "$W/exec.pid" -e -l "$W/exec.log" --sync -T "$seconds" --exec-process-spec "$W/process.json" >/dev/null 2>&1
  cut -d' ' -f2,4- exec.log; grep -oE '"(exit_code|data)": ?-?[0-9]+' "$id.sync" | grep -oE -- '-?[0-9]+$'
}
lines() { cut -d' ' -f2,4- "$1.log"; }
over() { until_ test -e "exits/$1"; cat "exits/$1"; echo; }
finish() {
  for id in "$S"/*/; do id=${id%/}; [ ! -d "$S/${id##*/}" ] || "$BIN" --root "$S" delete --force "${id##*/}" >/dev/null 2>&1; done
  until_ eval '! pgrep -f "conmon.*$W" >/dev/null'; umount -l ns/* 2>/dev/null; return 0
}
trap finish EXIT
