// SPDX-License-Identifier: Apache-2.0
// containerd's own client, through io.containerd.runc.v2 with the binary named.
import { scriptCases } from './support/script.ts';

const ctr = `trap 'ctr tasks kill -s KILL -a "$C" >/dev/null 2>&1; until_ gone; ctr containers rm "$C" >/dev/null 2>&1' EXIT
gone() { ctr tasks rm -f "$C" >/dev/null 2>&1; ! ctr tasks ls -q | grep -qx "$C"; }
start() { ctr run --runtime io.containerd.runc.v2 --runc-binary "$BIN" --runc-root "$E/run/ctr-$RT" --cgroup "$G/$C" "$@"; }
image=docker.io/local/busybox:latest
# ctr forgets to read what an exec has written whose end comes before it got round to opening the pipe.
late='sleep 0.5'
`;

scriptCases('ctr', [
  {
    name: 'run',
    script: `${ctr} start --rm $image "$C" echo hello; start --rm $image "$C" sh -c 'echo err >&2; exit 5' 2>err.txt; echo $?; cat err.txt; echo words | start --rm $image "$C" sh -c 'read -r a; echo got $a'`,
    says: 'hello\n5\nerr\ngot words',
  },
  {
    name: 'run what is not there',
    script: `${ctr} start --rm $image "$C" /nope >out.txt 2>&1; echo $?; grep -o 'no such file or directory' out.txt | head -1; ctr tasks ls -q | grep -cx "$C"`,
    says: '1\nno such file or directory\n0',
    code: 1,
  },
  {
    name: 'task exec',
    script: `${ctr} start -d $image "$C" sleep 1000; ctr task exec --exec-id a "$C" sh -c "echo in; $late; exit 4"; echo $?; echo words | ctr task exec --exec-id b "$C" sh -c "cat; $late"; ctr task exec --exec-id c --user 1000:100 --cwd /etc "$C" sh -c "id -u; pwd; $late"; ctr task exec --exec-id d "$C" /nope >/dev/null 2>&1; echo $?`,
    says: 'in\n4\nwords\n1000\n/etc\n1',
  },
  {
    name: 'task exec, then kill the exec',
    script: `${ctr} start -d $image "$C" sleep 1000; ctr task exec --exec-id a "$C" sh -c 'trap "echo heard; exit 9" TERM; echo ready; while :; do sleep 0.05; done' >out.txt & job=$!
      until_ grep -q ready out.txt; ctr task kill -s TERM --exec-id a "$C"; wait $job; echo $?; cat out.txt
      ctr task exec --exec-id b "$C" sleep 777 & job=$!; until_ eval 'ctr task exec --exec-id c$RANDOM $C ps | grep -q "sleep 777"'; ctr task kill -s KILL --exec-id b "$C"; wait $job; echo $?; until_ eval '! ctr task exec --exec-id d$RANDOM $C ps | grep -q "sleep 777"'`,
    says: '9\nready\nheard\n137',
  },
  {
    name: 'task kill and delete',
    script: `${ctr} start $image "$C" sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done' >out.txt & job=$!; until_ grep -q ready out.txt; ctr task kill "$C"; wait $job; echo $?; ctr task ls -q | grep -cx "$C"`,
    says: '3\n0',
    code: 1,
  },
  {
    name: 'task ps',
    script: `${ctr} start -d $image "$C" sleep 1000; ctr task ps "$C" | tail -n +2 | while read -r p rest; do grep -q "$G/$C" /proc/$p/cgroup && echo ours; done | sort -u; ctr task ls | grep "^$C " | tr -s ' ' | cut -d' ' -f3`,
    says: 'ours\nRUNNING',
  },
  {
    name: 'task metrics',
    script: `${ctr} start -d $image "$C" sleep 1000; ctr task metrics --format json "$C" | grep -oE '"(current|total|rss)": [1-9]' | cut -d' ' -f1 | sort -u | tr '\\n' ' '`,
    says: '"current": "rss": "total":',
  },
  {
    name: 'task pause and resume',
    script: `${ctr} start -d $image "$C" sleep 1000; ctr task pause "$C"; ctr task ls | grep "^$C " | tr -s ' ' | cut -d' ' -f3; ctr task resume "$C"; ctr task exec --exec-id a "$C" sh -c "echo alive; $late"`,
    says: 'PAUSED\nalive',
  },
  {
    name: 'limits and mounts',
    script: `${ctr} mkdir d; echo words >d/f; start --rm --memory-limit 67108864 --read-only --mount "type=bind,src=$PWD/d,dst=/d,options=rbind:ro" --env A=b --cwd /d $image "$C" sh -c 'cat f; echo $A $(id -u); touch /d/x /x 2>&1 | sed "s/.*: //"'`,
    says: 'words\nb 0\nRead-only file system\nRead-only file system',
  },
  {
    name: 'a plain seccomp profile',
    script: `${ctr} start --rm --seccomp $image "$C" sh -c 'grep ^Seccomp: /proc/self/status; grep ^NoNewPrivs /proc/self/status'`,
    says: 'Seccomp:\t2\nNoNewPrivs:\t1',
  },
]);
