// SPDX-License-Identifier: Apache-2.0
// Docker's networks with the sockets of the container's network namespace (dev.runts.network=host):
// bridges of the user's with addresses and Docker's names, published ports, a network shared with
// another container or with the host, settings.
import { scriptCases } from './support/script.ts';

/** `run` and `up` without the network that they otherwise have. */
const prelude = String.raw`
  plain=(--runtime "$RT" --cgroup-parent "$G" --label "case=$C")
  trap 'cleanup; docker network ls -q --filter "label=case=$C" | xargs -r /usr/bin/docker network rm >/dev/null 2>&1' EXIT
  bridge() { docker network create --label "case=$C" --subnet "$1" "$C" >/dev/null; }
  net_up() { local name="$1"; shift; docker run -d --name "$C-$name" "\${plain[@]}" "$@" >/dev/null; }
  net_run() { docker run --rm "\${plain[@]}" "$@"; }
`.replaceAll('\\$', '$');

const host = (name: string, script: string, says: string | RegExp) =>
  ({ name, script: `${prelude}\n${script}`, says, network: 'host' }) as const;

scriptCases('docker-network', [
  host(
    'containers of a bridge reach one another',
    `bridge 10.213.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_up web --network "$C" --network-alias shop local/busybox sh -c 'mkdir /w; echo from the shop >/w/index.html; echo up; exec httpd -f -p 80 -h /w'; logged up "$C-web"
     IP=$(inspect '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$C-web")
     net_run --network "$C" local/busybox wget -qO- "http://$IP/"
     net_run --network "$C" local/busybox wget -qO- http://shop/
     net_run --network "$C" local/busybox wget -qO- "http://$C-web/"
     net_run --network "$C" local/busybox ping -c1 -w30 shop | sed -n 's/^\\(1 packets.*received\\).*/\\1/p'
     net_run --network "$C" local/busybox nslookup nowhere.invalid >/dev/null 2>&1 || echo no such name`,
    'from the shop\nfrom the shop\nfrom the shop\n1 packets transmitted, 1 packets received\nno such name',
  ),
  host(
    'a published port is reached from the host',
    `bridge 10.214.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_up web --network "$C" -p 127.0.0.1::80 local/busybox sh -c 'mkdir /w; echo published >/w/index.html; echo up; exec httpd -f -p 80 -h /w'; logged up "$C-web"
     at=$(docker port "$C-web" 80); until_ curl --noproxy '*' -fs "http://$at/"; curl --noproxy '*' -s "http://$at/"
     for i in 1 2 3 4 5 6 7 8; do curl --noproxy '*' -s "http://$at/" & done | sort | uniq -c | tr -s ' '; wait`,
    'published\n 8 published',
  ),
  host(
    'a network shared with another container',
    `bridge 10.215.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_up first --network "$C" local/busybox sh -c 'mkdir /w; echo first >/w/index.html; echo up; exec httpd -f -p 127.0.0.1:80 -h /w'; logged up "$C-first"
     net_run --network "container:$C-first" local/busybox wget -qO- http://127.0.0.1/
     a=$(docker exec "$C-first" ip -o -4 addr show eth0); b=$(net_run --network "container:$C-first" local/busybox ip -o -4 addr show eth0); [ "$a" = "$b" ] && echo same
     net_run --network "container:$C-first" local/busybox netstat -tln | grep -c '127.0.0.1:80 '`,
    'first\nsame\n1',
  ),
  host(
    'the network of the host',
    `lasting() { grep -v '^br-\\|^veth\\|^docker\\|^bonding' | sort; }; same() { net_run --network host local/busybox ls /sys/class/net | lasting >inside; ls /sys/class/net | lasting | cmp - inside; }; until_ same && echo same
     net_run --network host --sysctl net.core.somaxconn=5 local/busybox true 2>/dev/null; echo $?`,
    /^same\n12[56]$/,
  ),
  host(
    'no network',
    `net_run --network none local/busybox sh -c 'ls /sys/class/net; ping -c1 -w30 127.0.0.1 | sed -n 2p | cut -d: -f1; nc 10.0.0.1 80'; echo $?`,
    'lo\n64 bytes from 127.0.0.1\n1',
  ),
  host(
    'settings of the network',
    `net_run --network none --sysctl net.core.somaxconn=321 --sysctl net.ipv4.conf.lo.rp_filter=2 local/busybox sh -c 'cd /proc/sys/net; cat core/somaxconn ipv4/conf/lo/rp_filter ipv4/ip_unprivileged_port_start ipv4/ping_group_range'
     net_run --network none -u 1000 local/busybox sh -c 'nc -l -p 81 2>&1 </dev/null & for i in $(seq 600); do netstat -tln | grep ":81 " >/dev/null && break; sleep 0.05; done; netstat -tln | grep -c ":81 "'
     net_run --network none --sysctl net.ipv4.ip_unprivileged_port_start=1024 -u 1000 local/busybox sh -c 'nc -l -p 81 -w1 2>&1 </dev/null'
     net_run --network none --sysctl net.core.nothing=1 local/busybox true 2>/dev/null; echo $?`,
    '321\n2\n0\n0\t2147483647\n1\nnc: bind: Permission denied\n127',
  ),
  host(
    'raw sockets are for those with the capability',
    `net_run --network none local/debian python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print("made")'
     for options in "--cap-drop NET_RAW" "-u 1000" "--cap-drop ALL"; do net_run --network none $options local/debian python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)' 2>&1 | tail -1; done`,
    'made\nPermissionError: [Errno 1] Operation not permitted\nPermissionError: [Errno 1] Operation not permitted\nPermissionError: [Errno 1] Operation not permitted',
  ),
]);

/** The same with the sandbox's own stack, which is what containers have unless they say otherwise. */
const own = (name: string, script: string, says: string | RegExp) =>
  ({ name, script: `${prelude}\n${script}`, says }) as const;

scriptCases('docker-network-sandbox', [
  own(
    'containers of a bridge reach one another by name',
    `bridge 10.217.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_up web --network "$C" --network-alias shop local/busybox sh -c 'mkdir /w; echo from the shop >/w/index.html; echo up; exec httpd -f -p 80 -h /w'; logged up "$C-web"
     IP=$(inspect '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$C-web")
     net_run --network "$C" local/busybox wget -qO- "http://$IP/"
     net_run --network "$C" local/busybox ping -c1 -w30 shop | sed -n 's/^\\(1 packets.*received\\).*/\\1/p'
     net_run --network "$C" local/busybox ping -c1 -w30 "$C-web" | sed -n 's/^\\(1 packets.*received\\).*/\\1/p'
     net_run --network "$C" local/busybox nslookup nowhere.invalid >/dev/null 2>&1 || echo no such name`,
    'from the shop\n1 packets transmitted, 1 packets received\n1 packets transmitted, 1 packets received\nno such name',
  ),
  own(
    'a port of the sandbox is reached from the host',
    `bridge 10.218.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_up web --network "$C" -p 127.0.0.1::80 local/busybox sh -c 'mkdir /w; echo published >/w/index.html; echo up; exec httpd -f -p 80 -h /w'; logged up "$C-web"
     at=$(docker port "$C-web" 80); until_ curl --noproxy '*' -fs "http://$at/"; curl --noproxy '*' -s "http://$at/"
     for i in 1 2 3 4 5 6 7 8; do curl --noproxy '*' -s "http://$at/" & done | sort | uniq -c | tr -s ' '; wait`,
    'published\n 8 published',
  ),
  own(
    'the address, the route and the name of the interface',
    `bridge 10.219.$((RANDOM % 100 * 2 + (\${#RT} > 4))).0/24
     net_run --network "$C" local/busybox sh -c 'ip -o -4 addr show eth0 | grep -c "inet 10.219.*/24"; ip route | grep -c "default via 10.219.*dev eth0"; ls /sys/class/net | grep -x "eth0\\\\|lo" | sort | tr "\\n" " "; grep -c eth0: /proc/net/dev'`,
    '1\n1\neth0 lo 1',
  ),
  own(
    'no network but a loopback',
    `net_run --network none local/busybox sh -c 'ls /sys/class/net; nc 10.0.0.1 80'; echo $?`,
    'lo\n1',
  ),
]);

/** A container in a network that runts cannot give it has a loopback only, and is told so. */
const toldOnce = 'grep -o "^runts: this container has a loopback only.*--network" | cut -d";" -f1';

scriptCases(
  'docker-network-notice',
  [
    {
      name: 'a container that gets no network is told so',
      script: `${prelude}
       bridge 10.216.$((RANDOM % 200)).0/24
       echo run; net_run --network "$C" local/busybox echo hello 2>err.txt; cat err.txt | ${toldOnce}
       net_up a --network "$C" local/busybox sleep 1000
       echo shared; net_run --network "container:$C-a" local/busybox true 2>&1 | ${toldOnce}
       echo terminal; net_run -t --network "container:$C-a" local/busybox true | ${toldOnce}
       echo host; net_run --network host local/busybox true 2>&1 | ${toldOnce}
       echo none; net_run --network none local/busybox true 2>&1`,
      says: [
        'run',
        'hello',
        'shared',
        'runts: this container has a loopback only',
        'terminal',
        'runts: this container has a loopback only',
        'host',
        'runts: this container has a loopback only',
        'none',
      ].join('\n'),
    },
  ],
  { only: 'runts' },
);
