// SPDX-License-Identifier: Apache-2.0
// Volumes, docker cp, commit and build: what goes between host, image and container.
import { scriptCases } from './support/script.ts';

scriptCases('docker-files', [
  {
    name: 'a directory of the host',
    script: `mkdir d; echo from host >d/a; run -v $PWD/d:/d local/busybox sh -c 'cat /d/a; echo from guest >/d/b; mkdir /d/sub; ln -s a /d/link; mv /d/a /d/c; chmod 640 /d/b'; cat d/b d/c; readlink d/link; stat -c %a d/b; ls d | tr '\\n' ' '`,
    says: 'from host\nfrom guest\nfrom host\na\n640\nb c link sub',
  },
  {
    name: 'a directory of the host, read-only',
    script: `mkdir d; echo words >d/a; run -v $PWD/d:/d:ro local/busybox sh -c 'exec 2>&1; cat /d/a; touch /d/b; rm /d/a; echo x >/d/a' | sed 's/.*: //'; ls d`,
    says: 'words\nRead-only file system\nRead-only file system\nRead-only file system\na',
  },
  {
    name: 'one file of the host',
    script: `echo words >f; echo other >g; run -v $PWD/f:/etc/f -v $PWD/g:/etc/g:ro local/busybox sh -c 'cat /etc/f /etc/g; echo more >>/etc/f; (echo no >>/etc/g) 2>&1 | sed "s/.*: //"'; cat f g`,
    says: 'words\nother\nRead-only file system\nwords\nmore\nother',
  },
  {
    name: 'the host’s changes are seen',
    script: `mkdir d; echo 1 >d/a; up -v $PWD/d:/d local/busybox sleep 1000; docker exec "$C" cat /d/a; echo 2 >d/a; echo new >d/b; docker exec "$C" cat /d/a /d/b; rm d/a; docker exec "$C" ls /d`,
    says: '1\n2\nnew\nb',
  },
  {
    name: 'two containers share a volume',
    script: `trap 'cleanup; docker volume rm -f "$C-v" >/dev/null' EXIT; docker volume create "$C-v" >/dev/null
      up -v "$C-v:/v" local/busybox sh -c 'until [ -e /v/ask ]; do sleep 0.05; done; read a </v/ask; echo answer to $a >/v/answer.new; mv /v/answer.new /v/answer; sleep 1000'
      run -v "$C-v:/v" local/busybox sh -c 'echo question >/v/ask.new; mv /v/ask.new /v/ask; until [ -e /v/answer ]; do sleep 0.05; done; cat /v/answer'`,
    says: 'answer to question',
  },
  {
    name: 'files made in a volume belong to the user',
    script: `mkdir -m 777 d; run -u 1000:100 -v $PWD/d:/d local/busybox sh -c 'umask 027; echo a >/d/a; mkdir /d/b'; stat -c '%u:%g %a' d/a d/b`,
    says: '1000:100 640\n1000:100 750',
  },
  {
    name: 'a mount inside a mount',
    script: `mkdir -p a/sub b; echo outer >a/f; echo inner >b/f; run -v $PWD/a:/m -v $PWD/b:/m/sub:ro --tmpfs /m/sub2 local/busybox sh -c 'cat /m/f /m/sub/f; touch /m/sub2/x && ls /m/sub2'; ls a`,
    says: 'outer\ninner\nx\nf\nsub\nsub2',
  },
  {
    name: 'cp while running',
    script: `up local/busybox sleep 1000; echo in >f; docker cp f "$C":/tmp/f; docker exec "$C" sh -c 'cat /tmp/f; echo out >/root/g; mkdir -p /root/d/e; echo deep >/root/d/e/f'; docker cp "$C":/root/g g; docker cp "$C":/root/d d; cat g d/e/f; docker cp nothing "$C":/x >/dev/null 2>&1; echo $?`,
    says: 'in\nout\ndeep\n1',
  },
  {
    name: 'cp while stopped',
    script: `up local/busybox sh -c 'echo made >/etc/made; cat /etc/put 2>/dev/null'; ended >/dev/null; docker cp "$C":/etc/made made; cat made; echo put >put; docker cp put "$C":/etc/put; docker start -a "$C"`,
    says: 'made\nput',
  },
  {
    name: 'what changed',
    script: `up local/busybox sh -c 'echo x >/etc/new; rm /etc/group; mkdir -p /opt/a; chmod 600 /etc/passwd'; ended; docker diff "$C" | sort | tr '\\n' ' '`,
    says: '0\nA /etc/new A /opt A /opt/a C /etc C /etc/passwd D /etc/group',
  },
  {
    name: 'commit',
    script: `trap 'cleanup; docker rmi -f "$C-image" >/dev/null' EXIT; up local/busybox sh -c 'echo kept >/kept; rm /etc/group; sleep 1000'; until_ docker exec "$C" test ! -e /etc/group
      docker commit -c 'CMD ["cat", "/kept"]' "$C" "$C-image" >/dev/null; run "$C-image"; run "$C-image" ls /etc/group 2>&1 | sed 's/.*: //'`,
    says: 'kept\nNo such file or directory',
  },
  {
    name: 'files of all kinds survive',
    script: `up local/busybox sh -c 'mkdir /w; cd /w; echo a >f; ln f hard; ln -s f soft; mkfifo pipe; chmod 4711 f; touch -d "2001-02-03 04:05:06" f; chown 7:8 f; mknod dev c 1 3'; ended
      docker start "$C" >/dev/null; ended >/dev/null; docker export "$C" | tar -t -v --numeric-owner --full-time --utc -f - | grep ' w/' | awk '{ print $1, $2, $6, $7, $8 }' | sort -k3`,
    says: /./,
  },
  {
    name: 'export',
    script: `up local/busybox sh -c 'echo words >/etc/w'; ended; docker export "$C" | tar -xO etc/w`,
    says: '0\nwords',
  },
]);
