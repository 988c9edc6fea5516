// SPDX-License-Identifier: Apache-2.0
// docker run's capabilities, seccomp and the rest of what confines the guest.
import { scriptCases } from './support/script.ts';

const caps = `grep -E '^Cap(Inh|Prm|Eff|Bnd)' /proc/self/status | cut -f2 | tr '\\n' ' '`;

scriptCases('docker-security', [
  {
    name: 'capabilities',
    script: `run local/busybox sh -c "${caps}"; echo; run -u 1000 local/busybox sh -c "${caps}"`,
    says: '0000000000000000 00000000a80425fb 00000000a80425fb 00000000a80425fb \n0000000000000000 0000000000000000 0000000000000000 00000000a80425fb',
  },
  {
    name: 'dropped and added capabilities',
    script: `run --cap-drop ALL --cap-add NET_ADMIN --cap-add CHOWN local/busybox sh -c "${caps}"; echo; run --cap-drop CHOWN local/busybox sh -c 'chown 5 /tmp 2>/dev/null || echo refused'; run --cap-drop ALL local/busybox sh -c 'cd /tmp; touch x; chown 1 x 2>/dev/null || echo refused'`,
    says: '0000000000000000 0000000000001001 0000000000001001 0000000000001001 \nrefused\nrefused',
  },
  {
    name: 'what the default capabilities allow and do not',
    script: `run local/busybox sh -c 'mount -t tmpfs none /mnt 2>&1 | grep -o "permission denied\\|Operation not permitted" | head -1; mknod /tmp/n c 1 3 && echo mknod; chroot / true && echo chroot; hostname other 2>/dev/null || echo no hostname; su user -c "id -u"'`,
    says: /^(permission denied|Operation not permitted)\nmknod\nchroot\nno hostname\n1000$/,
  },
  {
    name: 'an added capability works',
    script: `run --cap-add SYS_ADMIN --security-opt seccomp=unconfined local/busybox sh -c 'mount -t tmpfs none /mnt && echo mounted; hostname other && hostname'`,
    says: 'mounted\nother',
  },
  {
    name: 'an unknown capability',
    script: `run --cap-add NOSUCH local/busybox true >/dev/null 2>&1; echo $?`,
    says: '125',
  },
  {
    name: 'seccomp by default',
    script: `run local/busybox sh -c 'grep ^Seccomp: /proc/self/status; unshare -U true 2>&1 | grep -o "not permitted"'`,
    says: 'Seccomp:\t2\nnot permitted',
  },
  {
    name: 'seccomp from a file',
    script: `echo '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["chmod","fchmodat"],"action":"SCMP_ACT_ERRNO","errnoRet":28},{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL_PROCESS"}]}' >profile.json
      run --security-opt seccomp=profile.json local/busybox sh -c 'chmod 700 /tmp 2>&1 | sed "s/.*: //"; touch /tmp/f && grep ^Seccomp: /proc/self/status; mkdir /tmp/d; echo $?' 2>/dev/null
      run --security-opt seccomp=profile.json local/busybox mkdir /tmp/d; echo $?`,
    says: 'No space left on device\nSeccomp:\t2\n159\n159',
  },
  {
    name: 'seccomp with a masked argument',
    script: `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}' >profile.json
      run --security-opt seccomp=profile.json local/debian python3 -c '
import socket
for family in (socket.AF_INET, socket.AF_UNIX):
    try: socket.socket(family); print("made")
    except OSError as e: print(e.strerror)'`,
    says: 'Permission denied\nmade',
  },
  {
    name: 'seccomp unconfined',
    script: `run --security-opt seccomp=unconfined local/busybox sh -c 'grep ^Seccomp: /proc/self/status'`,
    says: 'Seccomp:\t0',
  },
  {
    name: 'a profile that is none',
    script: `echo '{"defaultAction":"SCMP_ACT_NOSUCH"}' >profile.json; run --security-opt seccomp=profile.json local/busybox true >/dev/null 2>&1; echo $?`,
    says: '125',
  },
  {
    name: 'no new privileges',
    script: `for o in no-new-privileges seccomp=unconfined; do run --security-opt $o local/debian bash -c 'grep ^NoNewPrivs /proc/self/status; cp /usr/bin/id /tmp/id; chmod 4755 /tmp/id; setpriv --reuid 1000 --clear-groups /tmp/id -u'; done`,
    says: 'NoNewPrivs:\t1\n1000\nNoNewPrivs:\t0\n0',
  },
  {
    name: 'masked and read-only paths',
    script: `run local/busybox sh -c 'cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc/scsi /sys/firmware 2>/dev/null | grep -v : | tr -d "\\n"; (echo x >/proc/sys/kernel/hostname) 2>&1 | sed "s/.*: //"; touch /sys/x 2>&1 | sed "s/.*: //"'`,
    says: '0\nRead-only file system\nRead-only file system',
  },
  {
    name: 'privileged',
    script: `run --privileged local/busybox sh -c "${caps}; mount -t tmpfs none /mnt && echo mounted; grep ^Seccomp: /proc/self/status; hostname new && hostname"`,
    says: /mounted\nSeccomp:\t0\nnew$/,
    needs: 'CAP_SYS_RESOURCE',
  },
  {
    name: 'the host is not to be seen',
    script: `run local/busybox sh -c 'ls /proc | grep -c "^[0-9]"; cat /proc/1/comm; ls -A /root /home /etc 2>/dev/null | grep -c shadow; cat /proc/mounts | grep -c " /work"'`,
    says: /^[1-5]\nsh\n0\n0$/,
    code: 1,
  },
]);
