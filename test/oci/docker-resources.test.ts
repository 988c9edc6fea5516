// SPDX-License-Identifier: Apache-2.0
// docker run's limits: they must bind, and Docker must read them where it looks, the cgroups of init's pid.
import { scriptCases } from './support/script.ts';

/** Shell: a file of the container's cgroup, `cg CONTROLLER FILE`, v1 here or v2. */
const cg = `cg() { local d=/sys/fs/cgroup/$1$G/$(inspect '{{.Id}}'); [ -d "$d" ] || d=/sys/fs/cgroup$G/$(inspect '{{.Id}}'); cat "$d/$2"; }
pid() { inspect '{{.State.Pid}}'; }`;

scriptCases('docker-resources', [
  {
    name: 'the process of the pid file sits in its cgroup',
    script: `${cg}
      up local/busybox sleep 1000; id=$(inspect '{{.Id}}'); cut -d: -f3 /proc/$(pid)/cgroup | grep -v "^$G/$id$"; echo; until_ eval 'cg memory cgroup.procs | grep -qx $(pid)'; echo in`,
    says: 'in',
  },
  {
    name: 'memory: the OOM killer',
    script: `up --memory 48m --memory-swap 48m local/busybox sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; ended; until_ eval '[ $(inspect "{{.State.OOMKilled}}") = true ]' && echo told`,
    says: '137\ntold',
  },
  {
    name: 'memory: one process of several is killed',
    script: `run --memory 96m --memory-swap 96m local/busybox sh -c 'sh -c "x=0123456789abcdef; while :; do x=\\$x\\$x; done"; echo child $?'`,
    says: /^(child 137|)$/,
  },
  {
    // With runc the host's kernel ends somebody of the cgroup, or says ENOMEM where it cannot. With runts the
    // Sentry refuses before the host's OOM killer looks for somebody, who might be the Sentry
    // (docs/memory.md).
    name: 'memory: what the kernel keeps for a guest',
    script: `run --memory 256m --memory-swap 256m --cap-add SYS_RESOURCE local/debian python3 -c '
import fcntl, os
held = []
try:
    for _ in range(400):
        read, write = os.pipe()
        fcntl.fcntl(write, 1031, 1 << 20)
        held.append((read, os.write(write, bytes(1 << 20))))
    print("had all")
except OSError as error:
    print(error.strerror)' || echo killed`,
    says: /^(Cannot allocate memory|killed)$/,
    runtsSays: 'Cannot allocate memory',
  },
  {
    name: 'memory: the limit is told',
    script: `${cg}
      up --memory 64m local/busybox sleep 1000; cg memory memory.limit_in_bytes; docker stats --no-stream --format '{{.MemUsage}}' "$C" | cut -d/ -f2`,
    says: '67108864\n 64MiB',
  },
  {
    name: 'pids',
    script: `${cg}
      up --pids-limit 30 local/debian python3 -c '
import os, time
children = 0
try:
    while children < 60:
        if os.fork() == 0: time.sleep(1000)
        children += 1
except OSError as error:
    print(error.strerror, 0 < children < 30, flush=True)
time.sleep(1000)'
      [ $(cg pids pids.max) -ge 30 ] && echo bound; logged .; docker logs "$C"`,
    says: 'bound\nResource temporarily unavailable True',
  },
  {
    name: 'cpus',
    script: `${cg}
      up --cpus 0.25 local/busybox sh -c 'while :; do :; done'; echo $(cg cpu cpu.cfs_quota_us) $(cg cpu cpu.cfs_period_us)
      cpu() { cg cpuacct cpuacct.usage; }; a=$(cpu); ta=$(date +%s%N); sleep 2; b=$(cpu); tb=$(date +%s%N); share=$(((b - a) * 100 / (tb - ta))); [ $share -ge 1 ] && [ $share -le 40 ] && echo about a quarter || echo $share`,
    says: '25000 100000\nabout a quarter',
  },
  {
    name: 'shares and sets',
    script: `${cg}
      up --cpu-shares 512 --cpuset-cpus 0 --blkio-weight 300 local/busybox sleep 1000 2>/dev/null; cg cpu cpu.shares; cg cpuset cpuset.cpus; docker exec "$C" nproc`,
    says: '512\n0\n1',
  },
  {
    name: 'update',
    script: `${cg}
      up --memory 64m local/busybox sleep 1000; docker update --memory 80m --memory-swap 80m --cpus 0.5 --pids-limit 77 "$C" >/dev/null; echo $?; cg memory memory.limit_in_bytes; cg cpu cpu.cfs_quota_us; [ $(cg pids pids.max) -ge 77 ] && echo pids; inspect '{{.HostConfig.Memory}}'`,
    says: '0\n83886080\n50000\npids\n83886080',
  },
  {
    name: 'oom-score-adj',
    script: `up --oom-score-adj 500 local/busybox sleep 1000; docker exec "$C" cat /proc/1/oom_score_adj; cat /proc/$(inspect '{{.State.Pid}}')/oom_score_adj`,
    says: '500\n500',
  },
  {
    name: 'a negative oom-score-adj',
    script: `run --oom-score-adj -500 local/busybox cat /proc/1/oom_score_adj`,
    says: '-500',
    needs: 'CAP_SYS_RESOURCE',
  },
  {
    name: 'a limit that cannot be',
    script: `run --memory 1k local/busybox true >/dev/null 2>&1; echo $?; run --cpuset-cpus 4000 local/busybox true >/dev/null 2>&1; echo $?; run --pids-limit 20 --ulimit nproc=10:5 local/busybox true >/dev/null 2>&1; echo $?`,
    says: /^125\n125\n1\d\d$/,
  },
]);
