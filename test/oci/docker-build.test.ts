// SPDX-License-Identifier: Apache-2.0
// docker build, with the runtime as Docker's default: there is no other way to choose it.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, inject } from 'vitest';
import { dockerCommand, enginesIn, setDefaultRuntime } from './engines/daemons.ts';
import { type Runtime, registeredRuntimes } from './support/runtimes.ts';
import { scriptCases } from './support/script.ts';

const build = `export DOCKER_BUILDKIT=0
trap 'cleanup; docker rmi -f "$C" >/dev/null 2>&1;' EXIT
build() { docker build --no-cache --force-rm --network none --cgroup-parent "$G" -t "$C" "$@" . >build.log 2>&1; local code=$?; [ $code = 0 ] || cat build.log >&2; return $code; }`;

async function asDefault(dir: string, { name }: Runtime): Promise<void> {
  setDefaultRuntime(dir, registeredRuntimes, name);
  const now = (): string =>
    execFileSync(dockerCommand, ['info', '-f', '{{.DefaultRuntime}}'], {
      encoding: 'utf8',
      env: enginesIn(dir).env,
    }).trim();
  for (let tries = 0; tries < 200 && now() !== name; tries++) await sleep(50);
}

const engines = inject('enginesDir');
afterAll(() => {
  if (engines !== '') setDefaultRuntime(engines, registeredRuntimes);
});

scriptCases(
  'docker-build',
  [
    {
      name: 'steps and layers',
      script: `${build}
        echo 'print("built")' >p.py
        cat >Dockerfile <<'END'
FROM local/debian
ENV A=1
WORKDIR /app
COPY p.py .
RUN python3 p.py >out && echo "$A $(id -u) $(pwd)" >>out && cat /proc/version >/version
RUN ["/bin/bash", "-c", "rm /etc/group; mkdir -p a/b; ln -s out link; chmod 700 a"]
USER 1000:100
RUN id -u >/tmp/user; id -g >>/tmp/user
USER 0
CMD ["cat", "link"]
END
        build; echo $?; run "$C"; run "$C" bash -c 'cat /tmp/user; stat -c "%a %U" /app/a; ls /etc/group 2>&1 | sed "s/.*: //"'
        [ "$RT" = runc ] || run "$C" grep -q runts /version || echo 'not built by runts'
        docker history -q "$C" | wc -l`,
      says: '0\nbuilt\n1 0 /app\n1000\n100\n700 root\nNo such file or directory\n10',
    },
    {
      name: 'stages',
      script: `${build}
        cat >Dockerfile <<'END'
FROM local/busybox AS first
RUN head -c 1000000 /dev/zero | tr '\\0' x >/big && md5sum </big >/sum
FROM local/busybox
COPY --from=first /big /sum /
RUN md5sum </big | cmp - /sum && echo same >/verdict
END
        build; echo $?; run "$C" cat /verdict`,
      says: '0\nsame',
    },
    {
      name: 'a step that fails',
      script: `${build}
        printf 'FROM local/busybox\\nRUN echo fine; exit 9\\n' >Dockerfile; build; echo $?; grep -o 'returned a non-zero code: 9' build.log
        printf 'FROM local/busybox\\nRUN ["/nope"]\\n' >Dockerfile; build; echo $?`,
      says: '9\nreturned a non-zero code: 9\n1',
    },
  ],
  { prepare: asDefault },
);
