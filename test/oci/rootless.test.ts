// SPDX-License-Identifier: Apache-2.0
// Engines of an ordinary user: Podman and Buildah make a user namespace from the user's subordinate ids and
// start the runtime as its root. Where they are installed (tools/setup-host.sh does not fetch them).
import { spawnSync } from 'node:child_process';
import { scriptCases } from './support/script.ts';

const programs = ['podman', 'conmon', 'buildah', 'newuidmap'];
const isInstalled =
  spawnSync('sh', ['-c', programs.map((name) => `command -v ${name}`).join(' && ')]).status === 0;

/**
 * Shell: `user WORDS` runs a command as an ordinary user with subordinate ids, whom only a mount namespace of
 * the case's own knows. `p` is that user's Podman.
 */
const setUp = `chmod 755 "$W"; cd "$W"; mkdir home run; chmod 700 run; chown 4242:4242 home run
grep -v ^ordinary: /etc/passwd >passwd; echo ordinary:x:4242:4242::$W/home:/bin/sh >>passwd; grep -v ^ordinary: /etc/group >group; echo ordinary:x:4242: >>group; echo ordinary:20000:65536 >subid
cp /bin/busybox busybox; mkdir -p image/bin image/proc image/dev image/sys image/tmp image/etc; cp busybox image/bin; for a in sh id cat echo ls sleep touch chown tty hostname; do ln -s busybox image/bin/$a; done
tar -C image --numeric-owner --owner 0 --group 0 -cf home/image.tar .; chmod -R a+rX image home/image.tar passwd group subid
cat >inside.sh <<'END'
exec 9>&-; cd "$HOME"
p() { podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime "$BIN" "$@"; }
b() { buildah --storage-driver vfs "$@"; }
image=localhost/bb
finish() { p rm -fa -t 0 >/dev/null 2>&1; kill $(cat "$XDG_RUNTIME_DIR"/libpod/tmp/pause.pid) 2>/dev/null; podman unshare rm -rf "$HOME/.local" "$HOME/v" 2>/dev/null; kill $(cat "$XDG_RUNTIME_DIR"/libpod/tmp/pause.pid) 2>/dev/null; }
trap finish EXIT
END
user() { cat inside.sh - >home/script; unshare -m sh -c 'mount --make-rshared / && mount --bind passwd /etc/passwd && mount --bind group /etc/group && mount --bind subid /etc/subuid && mount --bind subid /etc/subgid && exec setpriv --reuid 4242 --regid 4242 --clear-groups env -i PATH="$PATH" HOME="$W/home" XDG_RUNTIME_DIR="$W/run" BIN="$BIN" "$@" bash home/script' sh "$@"; }
`;

/** The image is the user's own. */
const withPodman = `${setUp} run() { { echo 'p import image.tar bb >/dev/null 2>&1'; cat; } | user; }
`;

scriptCases(
  'rootless',
  [
    {
      name: 'podman runs, with the ids of the user',
      script: `${withPodman} run <<'END'
p run --rm --network none $image id -u
p run --rm --network none -u 1000:100 $image sh -c 'id -u; id -g'
p run --rm --network none $image sh -c 'exit 7'; echo $?
p run --rm --network none --userns keep-id $image id -u
mkdir v; echo host >v/f; p run --rm --network none -v ./v:/v $image sh -c 'cat /v/f; echo guest >/v/g; touch /v/h; chown 5:6 /v/h'
cat v/g; ls -ln v/g v/h | while read -r _ _ user group _; do echo $user:$group; done
END`,
      says: '0\n1000\n100\n7\n4242\nhost\nguest\n4242:4242\n20004:20005',
    },
    {
      name: 'podman runs with few subordinate ids, and files have them',
      script: `${withPodman} sed -i s/65536/3000/ subid; run <<'END'
mkdir v; chmod 777 v; p run --rm --network none -v ./v:/v $image sh -c 'id -u; touch /v/h; chown 5:6 /v/h'
p run --rm --network none -u 1000:100 $image sh -c 'id -u; id -g'
ls -ln v/h | { read -r _ _ user group _; echo $user:$group; }
END`,
      says: '0\n1000\n100\n20004:20005',
    },
    {
      name: 'podman keeps a container, enters it, stops it',
      script: `${withPodman} run <<'END'
p run -d --name c --network none $image sh -c 'trap "exit 4" TERM; echo up; while :; do sleep 0.05; done' >/dev/null
for _ in $(seq 300); do p logs c 2>&1 | grep -q up && break; sleep 0.1; done
p exec c sh -c 'echo in; exit 3'; echo $?; echo words | p exec -i c cat
p stop -t 60 c >/dev/null; p inspect -f '{{.State.Status}} {{.State.ExitCode}}' c; p rm c >/dev/null; p ps -aq
ls -d "$XDG_RUNTIME_DIR"/run?* 
END`,
      says: /^in\n3\nwords\nexited 4\n\S+\/run\/run(c|ts)$/,
    },
    {
      name: 'buildah builds',
      script: `${withPodman} run <<'END'
mkdir b; printf 'FROM localhost/bb\\nRUN echo built >/f && id -u\\n' >b/Dockerfile
b build -q --runtime "$BIN" --isolation oci --network none -t built b >/dev/null 2>&1; echo $?; p run --rm --network none localhost/built cat /f
END`,
      says: '0\nbuilt',
    },
    {
      name: 'a config.json of spec --rootless runs',
      script: `${setUp} user <<'END'
mkdir bundle; cd bundle; mkdir rootfs; tar -C rootfs -xf ../image.tar; "$BIN" spec --rootless
sed -i 's/"terminal": true/"terminal": false/; s/"readonly": true/"readonly": false/; s/"sh"/"sh", "-c", "id -u; hostname; touch \\/made; ls -ln \\/made"/' config.json
"$BIN" run a | grep -v '^run' | { read -r uid; echo $uid; read -r _ _ user group _; echo $user:$group; }
ls -ln rootfs/made | { read -r _ _ user group _; echo $user:$group; }; stat -c '%A' "$XDG_RUNTIME_DIR"/run?* | grep -c 't$\\|T$'
END`,
      says: '0\n0:0\n4242:4242\n1',
    },
  ],
  { isPossible: isInstalled },
);
