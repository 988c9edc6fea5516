// SPDX-License-Identifier: Apache-2.0
// --preserve-fds: what a process is given from 3 on. A socket among them is one: socket activation
// is the use of it.
import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { mount, script } from './support/spec.ts';

const run = promisify(execFile);

/**
 * Runs the runtime with sockets from descriptor 3 on and talks to the guest over them: native/guest
 * behaviour side by side.
 */
const driver = String.raw`
import os, socket, subprocess, sys
argv = sys.argv[1:]
for at in range(12): os.open('/dev/null', os.O_RDONLY)
ours, theirs = socket.socketpair()
listener = socket.socket(socket.AF_UNIX)
listener.bind('\0runts-test-%d' % os.getpid())
listener.listen(8)
tcp = socket.create_server(('127.0.0.1', 0))
packets, their_packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
given = [theirs, listener, tcp, their_packets]
for at, one in enumerate(given): os.dup2(one.fileno(), 3 + at)
child = subprocess.Popen(argv, pass_fds=range(3, 3 + len(given)))
for at in range(len(given)): os.close(3 + at)
theirs.close()
ours.sendall(b'hello')
# Descriptors of the host that come along are none of the guest's.
socket.send_fds(ours, [b'fds'], [0, 1])
packets.send(b'p' * 1000)
ours.settimeout(90); packets.settimeout(90)
assert ours.recv(100) == b'answer'
for at in range(2):
    c = socket.socket(socket.AF_UNIX if at == 0 else socket.AF_INET)
    c.settimeout(90)
    c.connect(listener.getsockname() if at == 0 else tcp.getsockname())
    c.sendall(b'ping')
    assert c.recv(100) == b'pong', 'no pong'
    c.close()
assert packets.recv(100) == b'datagram'
# The guest has shut down its side.
assert ours.recv(100) == b''
sys.exit(child.wait())
`;

const program = String.raw`
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SAY(COND) printf("%s %s\n", (COND) ? "ok" : "WRONG", #COND)
static int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value;
}
int main(void) {
  struct stat status;
  char bytes[2000];
  for (int fd = 3; fd < 7; fd++) SAY(fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
  SAY(option(3, SO_TYPE) == SOCK_STREAM && option(3, SO_DOMAIN) == AF_UNIX && option(3, SO_ACCEPTCONN) == 0);
  SAY(option(4, SO_ACCEPTCONN) == 1 && option(5, SO_DOMAIN) == AF_INET && option(6, SO_TYPE) == SOCK_DGRAM);

  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  SAY(getsockname(3, (void *)&name, &length) == 0 && name.ss_family == AF_UNIX && length == 2);
  length = sizeof name;
  SAY(getsockname(5, (void *)&name, &length) == 0 && name.ss_family == AF_INET && length == 16);
  length = sizeof name;
  SAY(getpeername(5, (void *)&name, &length) == -1 && errno == ENOTCONN);
  SAY(getpeername(3, (void *)&name, &length) == 0);

  SAY(recv(3, bytes, 5, MSG_PEEK | MSG_WAITALL) == 5 && memcmp(bytes, "hello", 5) == 0);
  SAY(read(3, bytes, 5) == 5);
  char control[256];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  SAY(recvmsg(3, &message, 0) == 3 && memcmp(bytes, "fds", 3) == 0);
#ifdef RUNTS
  SAY(message.msg_controllen == 0 && (message.msg_flags & MSG_CTRUNC) != 0);
  SAY(bind(3, (void *)&name, 2) == -1 && connect(6, (void *)&(struct sockaddr_un){AF_UNIX, "/x"}, 5) == -1);
#endif
  SAY(recv(3, bytes, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
  SAY(recv(6, bytes, 10, MSG_TRUNC) == 1000);
  SAY(send(3, "answer", 6, MSG_NOSIGNAL) == 6);
  for (int fd = 4; fd < 6; fd++) {
    struct pollfd ready = {fd, POLLIN, 0};
    SAY(poll(&ready, 1, 90000) == 1);
    length = sizeof name;
    int c = accept4(fd, (void *)&name, &length, SOCK_CLOEXEC);
    SAY(c > 6 && name.ss_family == (fd == 4 ? AF_UNIX : AF_INET));
    SAY(recv(c, bytes, sizeof bytes, 0) == 4 && memcmp(bytes, "ping", 4) == 0);
    SAY(write(c, "pong", 4) == 4 && recv(c, bytes, 1, 0) == 0);
    close(c);
  }
  SAY(send(6, "datagram", 8, 0) == 8);
  SAY(shutdown(3, SHUT_WR) == 0);
  SAY(send(3, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
  SAY(shutdown(5, 9) == -1 && errno == EINVAL);
  return 0;
}
`;

function build(box: Box, isNative: boolean): string {
  const path = join(box.dir, isNative ? 'native' : 'guest');
  const more = isNative ? [] : ['-DRUNTS'];
  const args = ['-static', '-w', '-O1', ...more, '-o', path, '-x', 'c', '-'];
  execFileSync('gcc', args, { input: program });
  return path;
}

boxCases('preserved descriptors', [
  {
    name: 'a socket is a socket: data, names, accept, shutdown; descriptors do not come along',
    body: async (box) => {
      const isOracle = box.runtime.name === 'runc';
      build(box, isOracle);
      writeFileSync(join(box.dir, 'driver.py'), driver);
      const bundle = box.bundle((spec) => {
        spec.mounts.push(mount('/t', 'bind', box.dir, 'rbind'));
        spec.process.args = [isOracle ? '/t/native' : '/t/guest'];
      });
      const flags = [...box.flags, 'run', '--preserve-fds', '4', '--bundle', bundle, 'a'];
      const argv = [join(box.dir, 'driver.py'), box.runtime.path, ...flags];
      const { stdout } = await run('python3', argv, { timeout: 150_000 });
      expect(stdout.split('\n').filter((line) => !line.startsWith('ok '))).toEqual(['']);
    },
  },
  {
    name: 'as many as 150',
    body: async (box) => {
      const bundle = box.bundle((spec) => script(spec, 'ls /proc/self/fd | wc -l; cat <&152'));
      const flags = [...box.flags, 'run', '--preserve-fds', '150', '--bundle', bundle, 'a'];
      writeFileSync(join(box.dir, 'last'), 'the last\n');
      const text = `import os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
for at in range(3, 153):
    if at != f: os.dup2(f, at)
for at in range(3, 153): os.set_inheritable(at, True)
os.execv(sys.argv[2], sys.argv[2:])`;
      const argv = ['-c', text, join(box.dir, 'last'), box.runtime.path, ...flags];
      const { stdout } = await run('python3', argv, { timeout: 150_000 });
      const [count, last] = stdout.split('\n');
      expect(Number(count)).toBeGreaterThanOrEqual(153);
      expect(last).toBe('the last');
    },
  },
]);
