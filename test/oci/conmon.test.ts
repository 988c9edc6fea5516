// SPDX-License-Identifier: Apache-2.0
// CRI-O, as far as it shows to a runtime: its calls of conmon and of the runtime, with the
// namespaces that it pins, with and without a sandbox container. CRI-O itself cannot be had on the
// machines of these tests (docs/oci.md).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { busyboxRootfs } from './engines/images.ts';
import { isRoot } from './support/runtimes.ts';
import { scriptCases } from './support/script.ts';

const isPossible = isRoot && spawnSync('sh', ['-c', 'command -v conmon']).status === 0;
const functions = readFileSync(join(import.meta.dirname, 'support/conmon.sh'), 'utf8');
const crio = isPossible ? `export ROOTFS=${busyboxRootfs()}\n${functions}\n` : '';

scriptCases(
  'conmon',
  [
    {
      name: 'a pod whose sandbox container CRI-O leaves out',
      script: `${crio} pins; up a container 'c["process"]["args"] = ["sh", "-c", "hostname; echo err >&2; echo $$; exec sleep 1000"]'
        up b container 'c["process"]["args"] = ["sh", "-c", "exit 3"]'; over b; until_ eval 'lines a | grep -q 1'; lines a | sort
        runtime state a | grep -oE '"status": ?"[a-z]+"'; runtime kill a KILL; over a; runtime delete --force a; runtime delete --force b; runtime state a 2>&1 | grep -o 'does not exist'`,
      says: '3\nstderr err\nstdout 1\nstdout the-pod\n"status": "running"\n137\ndoes not exist',
    },
    {
      name: 'a pod with its sandbox container',
      script: `${crio} pins; up infra sandbox; up a container; exec_sync a 20 sh -c 'hostname; ps -o args | grep -c "^sleep 1000"'
        up b container 'c["linux"]["namespaces"][0]["path"] = "/proc/" + open("infra/pidfile").read() + "/ns/pid"'; exec_sync b 20 sh -c 'ps -o args | grep -c "^sleep 1000"'
        runtime kill a TERM; runtime kill a KILL; over a; exec_sync b 20 echo alive; runtime kill b 9; over b; runtime kill infra 9; over infra; for id in a b infra; do runtime delete --force $id; done`,
      says: 'stdout the-pod\nstdout 1\n0\nstdout 2\n0\n137\nstdout alive\n0\n137\n137',
    },
    {
      name: 'containers of such a pod on its network',
      script: `${crio} pins; nsenter --net=ns/net ip link set lo up; net='c["annotations"]["dev.runts.network"] = "host"'
        up a container "$net"'; c["process"]["args"] = ["sh", "-c", "while :; do nc -l -p 7755 -e echo from a; done"]'; up b container "$net"
        exec_sync b 20 sh -c 'for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 7755 2>/dev/null && break; sleep 0.2; done'; runtime delete --force a; runtime delete --force b`,
      says: 'stdout from a\n0',
    },
    {
      name: 'what cannot be created',
      script: `${crio} pins; bundle a container 'c["process"]["args"] = ["/no/such"]'; create a 2>/dev/null; grep -oE '"(pid|data)": ?-1' a.sync | tr -cd -- '-1\\n'; grep -oE 'no such file or directory' a.sync | head -1; runtime delete --force a; runtime list -q`,
      says: '-1\nno such file or directory',
    },
    {
      name: 'exec: output, codes, time-outs',
      script: `${crio} pins; up a container; exec_sync a 20 sh -c 'echo out; echo err >&2; exit 7' | sort; exec_sync a 20 /no/such | tail -1 | grep -cE '^-?[1-9]'
        exec_sync a 1 sleep 777; exec_sync a 20 sh -c 'ps -o args | grep -c "^sleep 777"'; runtime delete --force a`,
      says: '7\nstderr err\nstdout out\n1\n-1\nstdout 0\n1',
    },
    {
      name: 'exec of a client that streams',
      script: `${crio} pins; up a container; process a sh -c 'read -r a; echo got $a; exit 5'; echo words | runtime exec --process process.json a; echo $?
        sed -i 's/"terminal": false/"terminal": true/' process.json; echo typed | script -qec "'$BIN' --root '$S' exec --process process.json a" /dev/null | tr -d '\\r'; runtime delete --force a`,
      says: /^got words\n5\n(typed\n){0,2}got typed$/,
    },
    {
      name: 'update, pause, resume; a log that is opened anew',
      script: `${crio} pins; up a container 'c["process"]["args"] = ["sh", "-c", "while :; do echo line; sleep 0.05; done"]; c["linux"]["resources"] = {"memory": {"limit": 100000000}}'
        echo '{"memory":{"limit":90000000},"cpu":{"quota":50000,"period":100000}}' | runtime update --resources - a; cat /sys/fs/cgroup/memory$G/$C-a/memory.limit_in_bytes /sys/fs/cgroup$G/$C-a/memory.max 2>/dev/null
        runtime pause a; runtime state a | grep -oE '"status": ?"[a-z]+"'; runtime resume a
        until_ eval 'lines a | grep -q line'; mv a.log old.log; echo 2 0 0 >a/ctl; until_ test -s a.log; echo again; runtime delete --force a`,
      says: '89997312\n"status": "paused"\nagain',
    },
    {
      name: 'a container that reads, and one on a terminal',
      script: `${crio} pins; bundle a container 'c["process"]["args"] = ["cat"]'; create a -i; runtime start a
        bundle t container 'c["process"].update(terminal=True, args=["sh", "-c", "tty; stty size; exit 6"])'; create t -t; echo 1 33 101 >t/ctl; sleep 0.3; runtime start t; over t; lines t | tr -d '\\r' | sed 's,/dev/console,/dev/pts/0,'
        python3 -c 'import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect("attach/a/attach"); s.send(b"words\\n"); d = s.recv(100); print(d[1:].decode().strip())'; runtime delete --force a; runtime delete --force t`,
      says: '6\nstdout /dev/pts/0\nstdout 33 101\nwords',
    },
  ],
  { isPossible },
);
