// SPDX-License-Identifier: Apache-2.0
// What Docker does to a container that runs: exec, signals, pause, top, logs, restart.
import { scriptCases } from './support/script.ts';

const networkOfAnother = `up -h first local/busybox sh -c 'echo up; nc -l -p 99 -e echo from the other'; logged up; trap 'docker rm -f "$C-2" >/dev/null 2>&1; cleanup' EXIT
  docker run --rm --label "case=$C" --cgroup-parent "$G" --runtime "$RT" --network "container:$C" local/busybox sh -c 'hostname; for i in $(seq 300); do nc 127.0.0.1 99 2>/dev/null && break; sleep 0.1; done'`;

const sleeper = 'up local/busybox sleep 1000;';

scriptCases('docker-live', [
  {
    name: 'exec',
    script: `${sleeper} docker exec "$C" echo hello; docker exec "$C" sh -c 'echo err >&2; exit 5' 2>err.txt; echo $?; cat err.txt; docker exec "$C" sh -c 'kill -9 $$'; echo $?`,
    says: 'hello\n5\nerr\n137',
  },
  {
    name: 'exec with input',
    script: `${sleeper} echo words | docker exec -i "$C" tr a-z A-Z; head -c 2000000 /dev/zero | docker exec -i "$C" wc -c; docker exec "$C" cat`,
    says: 'WORDS\n2000000',
  },
  {
    name: 'exec with user, directory and environment',
    script: `up -e BASE=1 -w /usr local/busybox sleep 1000
      docker exec "$C" sh -c 'echo $(id -u) $(pwd) $BASE'
      docker exec -u 1000:100 -w /etc -e MORE=2 "$C" sh -c 'echo $(id -u):$(id -g) $(pwd) $BASE $MORE'; docker exec -u user "$C" id -u`,
    says: '0 /usr 1\n1000:100 /etc 1 2\n1000',
  },
  {
    name: 'exec of what cannot run',
    script: `${sleeper} docker exec "$C" nope >/dev/null 2>&1; echo $?; docker exec "$C" /etc/passwd >/dev/null 2>&1; echo $?; docker exec -w /nodir "$C" true >/dev/null 2>&1; echo $?; docker exec -u nobodyelse "$C" true >/dev/null 2>&1; echo $?; docker exec "$C" echo alive`,
    says: /^12[67]\n126\n12[67]\n12[67]\nalive$/,
  },
  {
    name: 'exec shares the container',
    script: `${sleeper} docker exec "$C" sh -c 'echo seen >/tmp/f; hostname >/tmp/h'; docker exec "$C" cat /tmp/f; [ "$(docker exec "$C" cat /tmp/h)" = "$(inspect '{{.Config.Hostname}}')" ] && echo host
      docker exec "$C" sh -c 'tr "\\0" " " </proc/1/cmdline'; docker exec "$C" sh -c '[ $$ -gt 1 ] && echo; kill -0 1 && echo may signal'`,
    says: 'seen\nhost\nsleep 1000 \nmay signal',
  },
  {
    name: 'detached exec',
    script: `${sleeper} docker exec -d "$C" sh -c 'echo done >/tmp/f; sleep 1000'; until_ docker exec "$C" grep done /tmp/f; docker exec "$C" sh -c 'ps -o args | grep -c "^sleep 1000"'`,
    says: '2',
  },
  {
    name: 'an exec that outlives its client goes with the container',
    script: `${sleeper} /usr/bin/docker exec "$C" sleep 500 & client=$!; running() { docker exec "$C" sh -c 'ps -o args | grep -c "^sleep 500"'; }; until_ running; kill -9 $client; wait $client 2>/dev/null; running; docker kill "$C" >/dev/null; ended`,
    says: '1\n137',
  },
  {
    name: 'many execs at once',
    script: `${sleeper} for i in 1 2 3 4 5 6 7 8; do docker exec "$C" sh -c "echo $i; exit $i" >out.$i & pids="$pids $!"; done; for p in $pids; do wait $p; echo -n "$? "; done; echo; cat out.* | tr '\\n' ' '`,
    says: '1 2 3 4 5 6 7 8 \n1 2 3 4 5 6 7 8',
  },
  {
    name: 'exec in a container that has ended',
    script: `up local/busybox true; ended; docker exec "$C" true >/dev/null 2>&1; echo $?`,
    says: '0\n1',
  },
  {
    name: 'top tells host processes',
    script: `up local/busybox sh -c 'sleep 1000 & wait'; until_ eval '[ $(docker exec $C ps | grep -c "sleep 1000") = 2 ]'
      docker top "$C" -o pid >top.txt; head -1 top.txt; tail -n +2 top.txt | while read -r p; do [ "$p" -gt 1 ] && grep -q "$(inspect '{{.Id}}')" /proc/$p/cgroup && echo ours; done | sort -u
      docker top "$C" -o pid,comm,args | tail -n +2 | sed 's/^ *[0-9]* *//; s/  */ /g' | sort`,
    says: 'PID\nours\nsh sh -c sleep 1000 & wait\nsleep sleep 1000',
  },
  {
    name: 'stop lets a container end itself',
    script: `up local/busybox sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done'; logged ready; docker stop -t 60 "$C" >/dev/null; docker logs "$C"; inspect '{{.State.ExitCode}} {{.State.Status}}'`,
    says: 'ready\nbye\n3 exited',
  },
  {
    name: 'stop kills what does not listen',
    script: `up local/busybox sh -c 'trap "echo no" TERM; echo ready; while :; do sleep 0.05; done'; logged ready; docker stop -t 5 "$C" >/dev/null; docker logs "$C"; inspect '{{.State.ExitCode}}'`,
    says: 'ready\nno\n137',
  },
  {
    name: 'pid 1 without a handler does not hear TERM',
    script: `${sleeper} docker kill -s TERM "$C" >/dev/null; sleep 0.3; inspect '{{.State.Status}}'; docker kill "$C" >/dev/null; ended`,
    says: 'running\n137',
  },
  {
    name: 'kill -s',
    script: `up local/busybox sh -c 'trap "echo usr1" USR1; trap "echo hup; exit 2" HUP; echo ready; while :; do sleep 0.05; done'; logged ready
      docker kill -s USR1 "$C" >/dev/null; logged usr1; docker kill -s HUP "$C" >/dev/null; ended; docker logs "$C"; docker kill "$C" >/dev/null 2>&1; echo $?; docker kill -s NOSUCH "$C" >/dev/null 2>&1; echo $?`,
    says: '2\nready\nusr1\nhup\n1\n1',
  },
  {
    name: 'pause and go on',
    script: `up local/busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.02; done'; until_ docker exec "$C" test -s /tmp/n
      docker pause "$C" >/dev/null; inspect '{{.State.Status}}'; docker exec "$C" true >/dev/null 2>&1; echo $?; docker cp "$C":/tmp/n a >/dev/null; sleep 0.2; docker cp "$C":/tmp/n b >/dev/null; cmp a b && echo still
      docker unpause "$C" >/dev/null; inspect '{{.State.Status}}'; until_ eval '! [ "$(docker exec $C cat /tmp/n)" = "$(cat b)" ]' && echo moving`,
    says: 'paused\n1\nstill\nrunning\nmoving',
  },
  {
    name: 'kill of a paused container',
    script: `${sleeper} docker pause "$C" >/dev/null; docker rm -f "$C" >/dev/null; docker inspect "$C" >/dev/null 2>&1 || echo gone`,
    says: 'gone',
  },
  {
    name: 'start again',
    script: `up local/busybox sh -c 'echo again >>/tmp/f; wc -l </tmp/f; exit 3'; ended; docker start "$C" >/dev/null; ended; docker start -a "$C"; echo $?`,
    says: '3\n3\n3\n3',
  },
  {
    name: 'restart',
    script: `up local/busybox sh -c 'trap "exit 0" TERM; echo up >>/tmp/f; echo ready; while :; do sleep 0.05; done'; logged ready; docker restart -t 60 "$C" >/dev/null; until_ eval '[ $(docker logs $C | grep -c ready) = 2 ]'; docker exec "$C" cat /tmp/f`,
    says: 'up\nup',
  },
  {
    name: 'rename and wait',
    script: `up local/busybox sh -c '[ -e /again ] && exec sleep 1000; >/again; exit 6'; docker rename "$C" "$C-new"; docker wait "$C-new"; docker start "$C-new" >/dev/null; docker kill "$C-new" >/dev/null; ended "$C-new"`,
    says: '6\n137',
  },
  {
    name: 'logs that follow',
    script: `up local/busybox sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done'; timeout 120 /usr/bin/docker logs -f "$C"; docker logs --tail 1 "$C"`,
    says: '1\n2\n3\n3',
  },
  {
    name: 'attach',
    script: `docker run -d -i --name "$C" "\${options[@]}" local/busybox sh -c 'read a; echo got $a; exit 8' >/dev/null; echo words | docker attach "$C" >/dev/null; ended; docker logs "$C"`,
    says: '8\ngot words',
  },
  {
    name: 'stats once',
    script: `${sleeper} docker stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' "$C" | sed "s/$RT/RT/; s/ [1-9][0-9]* / N /; s/[0-9.]*[KMG]iB/SIZE/g"`,
    says: 'RT-stats-once N SIZE / SIZE',
  },
  { name: 'network of another container', script: networkOfAnother, says: 'first\nfrom the other' },
  {
    name: 'network of another container, with the sockets of the host',
    network: 'host',
    script: networkOfAnother,
    says: 'first\nfrom the other',
  },
  {
    name: '20 containers at once',
    script: `for i in $(seq 20); do run local/busybox sh -c "echo $i; exit $i" >out.$i & pids="$pids $!"; done; for p in $pids; do wait $p; echo -n "$? "; done; echo; cat out.* | sort -n | tr '\\n' ' '`,
    says: `${numbers(20)}\n${numbers(20).trim()}`,
  },
]);

function numbers(last: number): string {
  return Array.from({ length: last }, (_, index) => `${index + 1} `).join('');
}
