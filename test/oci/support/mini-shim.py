# SPDX-License-Identifier: Apache-2.0
"""What containerd's shim is to a runtime, for tests that drive one directly: subreaper, parent with a death
signal, keeper of consoles, a stray descriptor. Requests come as JSON lines on standard input, each with a
`tag`; answers and events go out as JSON lines. See mini-shim.ts."""
import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
# As the shim's own socket does, it leaks into what it starts (descriptor 3).
stray = socket.socket(socket.AF_UNIX)
stray.bind('')
stray.listen()
os.dup2(stray.fileno(), 3)
os.set_inheritable(3, True)

wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
signal.set_wakeup_fd(wake_write)
signal.signal(signal.SIGCHLD, lambda *_: None)

dead = {}  # pid -> exit status as a shell has it
running = {}  # pid -> a run that is not answered yet
waiting = []  # (tag, pid)
consoles = {}  # path -> Console
readers = {}  # fd -> function to call when readable
pending = b''


def say(**message):
    sys.stdout.write(json.dumps(message) + '\n')
    sys.stdout.flush()


class Run:
    """A command; answered when it is dead and, where we collect, both its pipes are at their end."""

    def __init__(self, request):
        self.tag, self.died, self.held = request['tag'], None, False
        self.output = {'stdout': b'', 'stderr': b''}
        self.open = {}
        files = [os.open(request.get('stdin') or '/dev/null', os.O_RDONLY)]
        ours = []
        for name in ('stdout', 'stderr'):
            path = request.get(name)
            if path:
                files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
                continue
            read, write = os.pipe()
            files.append(write)
            ours.append(read)
            self.open[read] = name
        self.pid = os.fork()
        if self.pid == 0:
            self.become(request, files)
        for fd in files:
            os.close(fd)
        for fd in ours:
            readers[fd] = lambda fd=fd: self.read(fd)
        # Numbers come around.
        dead.pop(self.pid, None)
        running[self.pid] = self

    @staticmethod
    def become(request, files):
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.set_wakeup_fd(-1)
            for number, fd in enumerate(files):
                os.dup2(fd, number)
            os.closerange(4, 1024)
            os.chdir(request.get('cwd') or '/')
            os.umask(0o22)
            os.execvpe(request['argv'][0], request['argv'], {**os.environ, **request.get('env', {})})
        except OSError as error:
            os.write(2, str(error).encode())
        os._exit(127)

    def read(self, fd):
        data = os.read(fd, 65536)
        if data:
            name = self.open[fd]
            if len(self.output[name]) < 1 << 20:
                self.output[name] += data
            return
        self.close(fd)

    def close(self, fd):
        del readers[fd], self.open[fd]
        os.close(fd)

    def tick(self):
        """True when it is answered. What holds the pipes for long after the command's death is told of."""
        if self.pid not in dead:
            return False
        self.died = self.died or time.monotonic()
        if self.open and time.monotonic() - self.died < 10:
            return False
        for fd in list(self.open):
            self.held = True
            self.close(fd)
        texts = {name: data.decode('utf-8', 'replace') for name, data in self.output.items()}
        say(tag=self.tag, code=dead[self.pid], held=self.held, **texts)
        return True


class Console:
    """A listening socket for --console-socket; what the terminal says goes to PATH.out."""

    def __init__(self, path, size):
        self.path, self.size, self.master = path, size, None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        self.out = open(path + '.out', 'ab', buffering=0)
        readers[self.socket.fileno()] = self.accept

    def accept(self):
        connection, _ = self.socket.accept()
        payload, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4 * 8))
        fds = array.array('i')
        for _, _, data in ancillary:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        connection.close()
        say(event='console', path=self.path, payload=payload.decode('latin1'), descriptors=len(fds))
        if not fds:
            return
        self.master = fds[0]
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', *self.size, 0, 0))
        readers[self.master] = self.read

    def read(self):
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b''
        if data:
            self.out.write(data)
            return
        del readers[self.master]
        os.close(self.master)
        self.master = None


def parents():
    found = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/stat', 'rb') as file:
                    fields = file.read().rsplit(b')', 1)[1].split()
                if fields[0] not in b'ZX':
                    found[int(name)] = int(fields[1])
            except OSError:
                pass
    return found


def descendants():
    by_pid, found = parents(), []
    for pid in by_pid:
        above = pid
        while above in by_pid and above != os.getpid():
            above = by_pid[above]
        if above == os.getpid() and pid != above:
            found.append(pid)
    return found


def handle(request):
    verb, tag = request['do'], request['tag']
    if verb == 'run':
        Run(request)
        return
    if verb == 'wait':
        waiting.append((tag, request['pid']))
        return
    value = None
    if verb == 'descendants':
        value = descendants()
    elif verb == 'console':
        consoles[request['path']] = Console(request['path'], request['size'])
    elif verb == 'type':
        os.write(consoles[request['path']].master, request['text'].encode())
    elif verb == 'resize':
        fcntl.ioctl(consoles[request['path']].master, termios.TIOCSWINSZ, struct.pack('HHHH', *request['size'], 0, 0))
    elif verb == 'hang up':
        console = consoles[request['path']]
        del readers[console.master]
        os.close(console.master)
    say(tag=tag, value=value)


def reap():
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        dead[pid] = code if code >= 0 else 128 - code


def read_requests():
    global pending
    data = os.read(0, 65536)
    if not data:
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        sys.exit(0)
    *lines, pending = (pending + data).split(b'\n')
    for line in lines:
        request = json.loads(line)
        try:
            handle(request)
        except (OSError, KeyError, TypeError) as error:
            say(tag=request['tag'], error=repr(error))


readers[0] = read_requests
readers[wake_read] = lambda: os.read(wake_read, 4096)
while True:
    ready, _, _ = select.select(list(readers), [], [], 0.2 if running else 2)
    for fd in ready:
        if fd in readers:
            readers[fd]()
    reap()
    for pid, run in list(running.items()):
        if run.tick():
            del running[pid]
    for tag, pid in list(waiting):
        if pid in dead:
            waiting.remove((tag, pid))
            say(tag=tag, value=dead[pid])
