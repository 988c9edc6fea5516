#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine (boot.sh): what depends on systemd, the unified hierarchy and Debian's kernel, each next to runc
# where both can do it. One line for each check; ends with 'N passed, N failed'.
set -u
export PATH=$PATH:/usr/sbin:/sbin
runts=$RUNTS_TREE/bin/runts
work=/root/work
passed=0 failed=0

check() { # check NAME COMMAND...
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    failed=$((failed + 1))
    echo "FAIL $name: $said"
  fi
}

# A container would hold the pipe that `check` reads.
detached() { "$@" >$work/said 2>&1 </dev/null || { cat $work/said; return 1; }; }
equal() { [ "$1" = "$2" ] || { echo "'$1', not '$2'"; return 1; }; }
has() { case $1 in *"$2"*) ;; *) echo "'$1' has no '$2'"; return 1 ;; esac; }

bundle() { # bundle NAME CGROUPS_PATH RESOURCES COMMAND
  mkdir -p "$work/$1"
  cat >"$work/$1/config.json" <<JSON
{ "ociVersion": "1.0.2", "root": { "path": "$work/rootfs", "readonly": true },
  "process": { "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin"], "args": ["/bin/sh", "-c", "$4"] },
  "mounts": [ { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] } ],
  "linux": { "cgroupsPath": "$2", "resources": $3,
    "namespaces": [ { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "network" }, { "type": "cgroup" } ] } }
JSON
}

files() { (cd "$1" && shift && cat "$@" | tr '\n' ' '); }
property() { systemctl show "vm-$1.scope" -p "$2" --value; }

mkdir -p $work/rootfs/{bin,proc,sys/fs/cgroup}
cp "$(command -v busybox)" $work/rootfs/bin/busybox
for tool in sh sleep cat echo head tail wc grep; do ln -sf busybox $work/rootfs/bin/$tool; done

check 'the unified hierarchy' equal "$(stat -fc %T /sys/fs/cgroup)" cgroup2fs
check 'systemd is pid 1' equal "$(cat /proc/1/comm)" systemd
check 'runts do' equal "$($runts do -- /bin/echo hello 2>&1)" hello

limits='{ "memory": { "limit": 134217728, "swap": 268435456 }, "cpu": { "shares": 512, "quota": 25000, "period": 50000, "cpus": "0" },
  "pids": { "limit": 50 }, "unified": { "memory.high": "119996416", "memory.low": "4096" } }'
for name in runc runts; do
  program=$name; [ $name = runc ] || program=$runts
  bundle $name system.slice:vm:$name "$limits" 'sleep 1000'
  scope=/sys/fs/cgroup/system.slice/vm-$name.scope
  check "$name: a scope" detached $program --systemd-cgroup run -d -b $work/$name $name
  systemctl daemon-reload
  limits_seen=$(files $scope memory.max memory.high memory.low memory.swap.max cpu.weight cpuset.cpus)
  check "$name: limits after systemd wrote its own" equal "$limits_seen" '134217728 119996416 4096 134217728 20 0 '
  check "$name: quota" equal "$(cat $scope/cpu.max)" '25000 50000'
  check "$name: in systemd's words" equal "$(property $name MemoryMax) $(property $name MemoryHigh) $(property $name CPUWeight) $(property $name Delegate)" \
    '134217728 119996416 20 yes'
  $program pause $name
  check "$name: frozen" has "$(cat $scope/cgroup.events)" 'frozen 1'
  $program resume $name
  check "$name: thawed" has "$(cat $scope/cgroup.events)" 'frozen 0'
  $program --systemd-cgroup update --memory 100003840 --memory-swap 200007680 $name
  check "$name: update" equal "$(files $scope memory.max memory.swap.max)$(property $name MemoryMax)" '100003840 100003840 100003840'
  check "$name: statistics" has "$($program events --stats $name)" '"limit":100003840'
  check "$name: its own view" equal "$($program exec $name cat /sys/fs/cgroup/memory.max /proc/self/cgroup | tr '\n' ' ')" '100003840 0::/ '
  $program kill $name KILL
  for try in $(seq 50); do $program state $name | grep -q stopped && break; sleep 0.2; done
  check "$name: delete" $program --systemd-cgroup delete $name
  check "$name: no scope left" equal "$(property $name LoadState)$(ls -d $scope 2>/dev/null)" not-found
done

# A program at its limit is killed, also where no page of Node's was in the page cache before: it must not read them for ever.
bundle oom /vm/oom '{ "memory": { "limit": 80000000, "swap": 80000000 } }' 'exec tail /dev/zero'
timeout -k 1 100 $runts run -b $work/oom oom >/dev/null 2>&1 </dev/null
check 'runts: killed for lack of memory' equal $? 137
bundle tasks /vm/tasks '{ "unified": { "pids.max": "5" } }' 'for i in 1 2 3 4 5 6 7 8; do sleep 2 & done; wait'
check 'runts: too many processes' has "$(timeout 60 $runts run -b $work/tasks tasks 2>&1 </dev/null)" "can't fork"
check 'no cgroup left' equal "$(find /sys/fs/cgroup/vm -mindepth 1 -type d)" ''

echo "$passed passed, $failed failed"
[ $failed = 0 ]
