// SPDX-License-Identifier: Apache-2.0
// Podman and conmon, where they are installed (tools/setup-host.sh does not fetch them). Only with
// runts: Podman raises limits that runc then cannot set on a machine without CAP_SYS_RESOURCE.
import { spawnSync } from 'node:child_process';
import { scriptCases } from './support/script.ts';

const isInstalled = spawnSync('sh', ['-c', 'command -v podman && command -v conmon']).status === 0;

/** Shell: a store of the case's own, `p` for Podman on it; conmon leaves its cgroup. */
const podman = `mkdir store run tmp
p() { env -u DOCKER_CONFIG podman --root "$W/store" --runroot "$W/run" --tmpdir "$W/tmp" --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime "$BIN" "$@"; }
finish() { p rm -fa -t 0 >/dev/null 2>&1; until_ eval '! pgrep -f "conmon.*$W" >/dev/null'; for d in /sys/fs/cgroup/*"$G"/conmon /sys/fs/cgroup"$G"/conmon; do [ ! -d "$d" ] || rmdir "$d" 2>/dev/null; done; }
trap finish EXIT
docker save -o images.tar local/busybox; p load -q -i images.tar >/dev/null
image=localhost/local/busybox; how=(--network none --cgroup-parent "$G")
prun() { p run --rm "\${how[@]}" "$@"; }
pup() { p run -d --name c "\${how[@]}" "$@" >/dev/null; }
plogged() { until_ eval "p logs c 2>&1 | grep -q '$1'"; }
`;

scriptCases(
  'podman',
  [
    {
      name: 'run',
      script: `${podman} prun $image echo hello; prun $image sh -c 'echo err >&2; exit 7' 2>err.txt; echo $?; cat err.txt; echo words | prun -i $image cat; prun -t $image tty | tr -d "\\r"
        prun $image /nope >/dev/null 2>&1; echo $?; prun $image /etc >/dev/null 2>&1; echo $?`,
      says: 'hello\n7\nerr\nwords\n/dev/pts/0\n127\n126',
    },
    {
      name: 'limits, users and volumes',
      script: `${podman} mkdir v; echo host >v/f; prun -m 64m --pids-limit 50 -u 1000:100 -v "$W/v:/v:ro" $image sh -c 'cat /v/f; id -u; id -g; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; touch /v/g 2>&1 | sed "s/.*: //"'
        prun -v "$W/v:/v" $image sh -c 'echo guest >/v/g'; cat v/g; prun --read-only $image touch /x 2>&1 | sed 's/.*: //'`,
      says: 'host\n1000\n100\n67108864\n50\nRead-only file system\nguest\nRead-only file system',
    },
    {
      name: 'a container that stays',
      script: `${podman} pup $image sh -c 'trap "echo usr1" USR1; trap "exit 4" TERM; echo up; while :; do sleep 0.05; done'; plogged up
        p exec c sh -c 'echo in; exit 3'; echo $?; echo words | p exec -i c cat; p exec c /nope >/dev/null 2>&1; echo $?
        p kill -s USR1 c >/dev/null; plogged usr1; p pause c >/dev/null; p inspect -f '{{.State.Status}}' c; p unpause c >/dev/null
        echo copied >f; p cp f "c:/tmp/$C"; p exec c cat "/tmp/$C"; [ ! -e "/tmp/$C" ] || echo on the host; p stop -t 60 c >/dev/null; p inspect -f '{{.State.Status}} {{.State.ExitCode}}' c; p logs c
        p start c >/dev/null; until_ eval '[ $(p logs c | grep -c up) = 2 ]'; p kill c >/dev/null; p wait c; p rm c; p ps -aq`,
      says: 'in\n3\nwords\n127\npaused\ncopied\nexited 4\nup\nusr1\n137\nc',
    },
  ],
  { only: 'runts', isPossible: isInstalled },
);
