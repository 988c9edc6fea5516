// SPDX-License-Identifier: Apache-2.0
// docker run and its options.
import { scriptCases } from './support/script.ts';

scriptCases('docker-run', [
  { name: 'hello', script: 'run local/busybox echo hello', says: 'hello' },
  {
    name: 'a dynamically linked userland',
    script: `run local/debian bash -c 'python3 -c "import json, os; print(json.dumps(os.getpid()))"; ls -d /etc /usr | sort | tr "\\n" " "'`,
    says: /^\d+\n\/etc \/usr$/,
  },
  {
    name: 'the command of the image',
    script: 'echo "echo from sh" | run -i local/busybox',
    says: 'from sh',
  },
  {
    name: 'exit codes',
    script: 'for n in 0 1 127 128 255; do run local/busybox sh -c "exit $n"; echo -n "$? "; done',
    says: '0 1 127 128 255',
  },
  {
    name: 'death by signal',
    script: `for s in HUP KILL TERM SEGV USR1; do run --init local/busybox sh -c "kill -$s \\$\\$; sleep 10"; echo -n "$? "; done`,
    says: '129 137 143 139 138',
  },
  {
    name: 'commands that cannot run',
    script: `run local/busybox nope 2>&1 | grep -o 'executable file not found'; echo \${PIPESTATUS[0]}
      run local/busybox /nope 2>&1 | grep -o 'no such file or directory' | head -1; echo \${PIPESTATUS[0]}
      run local/busybox /etc/passwd 2>&1 | grep -o 'permission denied'; echo \${PIPESTATUS[0]}
      run local/busybox /etc 2>&1 | grep -o 'denied\\|is a directory' | head -1; echo \${PIPESTATUS[0]}`,
    says: 'executable file not found\n127\nno such file or directory\n127\npermission denied\n126\ndenied\n126',
  },
  {
    name: 'options that cannot be',
    script: `run -w /etc/passwd local/busybox true >/dev/null 2>&1; echo $?
      run -u nosuchuser local/busybox true 2>&1 | grep -o 'unable to find user nosuchuser'; echo \${PIPESTATUS[0]}`,
    says: /^12[567]\nunable to find user nosuchuser\n12[56]$/,
  },
  {
    name: 'standard input',
    script: `echo words | run -i local/busybox cat; run -i local/busybox wc -c </dev/null
      head -c 3000000 /dev/zero | run -i local/busybox wc -c; run local/busybox cat`,
    says: 'words\n0\n3000000',
  },
  {
    name: 'standard output and error are two',
    script: `run local/busybox sh -c 'echo out; echo err >&2' 2>err.txt; cat err.txt | tr a-z A-Z`,
    says: 'out\nERR',
  },
  {
    name: 'large output',
    script: `run local/busybox sh -c 'yes 0123456789abcdef | head -c 10485760' | cksum`,
    says: /^\d+ 10485760$/,
  },
  {
    name: 'detached with logs',
    script: `up local/busybox sh -c 'for i in 1 2 3; do echo line $i; done; exit 3'; ended; docker logs "$C"; inspect '{{.State.Status}} {{.State.ExitCode}}'`,
    says: '3\nline 1\nline 2\nline 3\nexited 3',
  },
  {
    name: '10 MB through logs',
    script: `up local/busybox sh -c 'yes 0123456789abcde | head -c 10485760'; ended; docker logs "$C" | wc -c`,
    says: '0\n10485760',
  },
  {
    name: 'environment',
    script: `run -e A=1 -e 'B=two words' -e EMPTY= -h box local/busybox env | grep -v '^SHLVL' | sort`,
    says: 'A=1\nB=two words\nEMPTY=\nHOME=/root\nHOSTNAME=box\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  },
  {
    name: 'working directory',
    script: 'run -w /etc local/busybox pwd; run -w /new/dir local/busybox pwd',
    says: '/etc\n/new/dir',
  },
  {
    name: 'entry point',
    script:
      'run --entrypoint /bin/echo local/busybox a b; run --entrypoint "" local/busybox echo c',
    says: 'a b\nc',
  },
  {
    name: 'host name and domain name',
    script: `run -h box --domainname example.org local/busybox sh -c 'hostname; cat /etc/hostname /proc/sys/kernel/domainname; uname -n'`,
    says: 'box\nbox\nexample.org\nbox',
  },
  {
    name: 'users',
    script: `for u in 0 1000 1000:100 user user:users 1234:5678 nobody; do run -u $u local/busybox sh -c 'echo $(id -u):$(id -g):$(id -G) $HOME'; done
      run -u 1000 --group-add 44 --group-add users local/busybox id -G`,
    says: '0:0:0 /root\n1000:1000:1000 100 /\n1000:100:100 /\n1000:1000:1000 100 /\n1000:100:100 /\n1234:5678:5678 /\n65534:65534:65534 /\n1000 44 100',
  },
  {
    name: 'a user may not write what is root’s',
    script: `run -u 1000 local/busybox sh -c 'touch /etc/x || echo refused; touch /tmp/x && stat -c %u:%g /tmp/x'`,
    says: 'refused\n1000:1000',
  },
  {
    name: 'tmpfs',
    script: `run --tmpfs /scratch:size=1m,mode=1770,uid=5 local/busybox sh -c 'stat -c "%a %u" /scratch; grep -c " /scratch tmpfs " /proc/mounts; dd if=/dev/zero of=/scratch/f bs=1k count=2000 2>&1 | grep -o "No space left"; stat -c %s /scratch/f'`,
    says: '1770 5\n1\nNo space left\n1048576',
  },
  {
    name: 'read-only root',
    script: `run --read-only --tmpfs /tmp local/busybox sh -c 'touch /x || echo refused; touch /tmp/x && echo written; touch /dev/shm/x && echo shm'`,
    says: 'refused\nwritten\nshm',
  },
  {
    name: 'the size of /dev/shm',
    script: `run --shm-size 8m local/busybox sh -c 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'`,
    says: '8192',
  },
  {
    name: 'limits',
    script: `run --ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=50 local/busybox sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c; grep "Max processes" /proc/self/limits | tr -s " "'`,
    says: '100\n200\n0\nMax processes 50 50 processes',
  },
  {
    name: 'a limit above the machine’s',
    script: `run --ulimit nofile=1000000 local/busybox sh -c 'ulimit -Sn'`,
    says: '1000000',
    needs: 'CAP_SYS_RESOURCE',
  },
  {
    name: 'sysctl',
    script: `run --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9000 local/busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start`,
    says: '1\n9000\n0',
  },
  {
    name: 'a sysctl of the whole host is refused',
    script: `run --sysctl kernel.panic=1 local/busybox true >/dev/null 2>&1; echo $?`,
    says: '125',
  },
  {
    name: 'devices',
    script: `run --device /dev/zero:/dev/nought local/busybox sh -c 'ls -l /dev/nought | cut -c1,5-10 | tr -d " "; head -c 3 /dev/nought | od -An -tx1; for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo no $d; done; for l in fd stdin ptmx; do readlink /dev/$l; done'`,
    says: /^c[rw-]+\n 00 00 00\n\/proc\/self\/fd\n\/proc\/self\/fd\/0\npts\/ptmx$/,
  },
  {
    name: 'network none',
    script: `run local/busybox sh -c 'ip -o link | cut -d: -f2 | tr -d " " | cut -d@ -f1; (nc -l -p 99 -e echo loopback &); for i in $(seq 300); do nc 127.0.0.1 99 2>/dev/null && break; sleep 0.1; done'`,
    says: /^lo\n(.*\n)*loopback$/,
  },
  {
    name: 'network host',
    network: 'host',
    script: `# Other cases make devices, and remove them.
      same() { docker run --rm --runtime "$RT" --network host --cgroup-parent "$G" local/busybox sh -c 'ls /sys/class/net; hostname' >inside; { ls /sys/class/net; hostname; } | cmp - inside; }; until_ same && echo same`,
    says: 'same',
  },
  {
    name: 'a server on the host network',
    network: 'host',
    script: `port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
      docker run -d --name "$C" --label "case=$C" --runtime "$RT" --network host --cgroup-parent "$G" local/busybox sh -c "echo up; nc -l -p $port -e echo served" >/dev/null
      logged up; until_ eval "cat </dev/tcp/127.0.0.1/$port >got"; cat got`,
    says: 'served',
  },
  {
    name: 'PID and host name of the host',
    script: `docker run --rm --runtime "$RT" --uts host --network none --cgroup-parent "$G" local/busybox hostname | cmp - <(hostname) && echo same`,
    says: 'same',
  },
  {
    name: 'pid 1',
    script: `run local/busybox sh -c 'echo $$; ps -o pid,args | tail -n +2 | wc -l'`,
    says: /^1\n[1-4]$/,
  },
  {
    name: 'init',
    script: `run --init local/busybox sh -c 'echo $PPID; cat /proc/1/comm; exit 9'; echo $?`,
    says: /^1\n(docker-init|tini)\n9$/,
  },
  {
    name: 'init reaps and forwards',
    script: `up --init local/busybox sh -c 'trap "echo got TERM; exit 7" TERM; (sleep 0.1 & exec sleep 0.2); echo ready; while :; do sleep 0.05; done'
      logged ready; docker stop -t 60 "$C" >/dev/null; docker logs "$C"; inspect '{{.State.ExitCode}}'`,
    says: 'ready\ngot TERM\n7',
  },
  {
    name: 'health check',
    script: `up --health-cmd 'test -e /tmp/well' --health-interval 0.2s --health-retries 1 local/busybox sh -c 'touch /tmp/well; echo ready; sleep 1000'
      until_ eval '[ "$(inspect "{{.State.Health.Status}}")" = healthy ]'; inspect '{{.State.Health.Status}}'
      docker exec "$C" rm /tmp/well; until_ eval '[ "$(inspect "{{.State.Health.Status}}")" = unhealthy ]'; inspect '{{.State.Health.Status}}'`,
    says: 'healthy\nunhealthy',
  },
  {
    name: 'restart on failure',
    script: `up --restart on-failure:2 local/busybox sh -c 'echo try; exit 4'
      until_ eval '[ "$(inspect "{{.RestartCount}} {{.State.Status}}")" = "2 exited" ]'; docker logs "$C"; inspect '{{.State.ExitCode}}'`,
    says: 'try\ntry\ntry\n4',
  },
  {
    name: 'remove',
    script: `docker create --name "$C" "\${options[@]}" local/busybox true >/dev/null; inspect '{{.State.Status}}'; docker rm "$C" >/dev/null; docker inspect "$C" >/dev/null 2>&1 || echo gone
      up local/busybox sleep 100; docker rm "$C" >/dev/null 2>&1 || echo running; docker rm -f "$C" >/dev/null && echo forced`,
    says: 'created\ngone\nrunning\nforced',
  },
]);
