# SPDX-License-Identifier: Apache-2.0
"""Runs `runts do` on a fresh pseudo-terminal: terminal-driver.py RUNTS SCENARIO. See terminal.test.ts."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

runts, scenario = sys.argv[1:]
scripts = {
    'tty': 'tty',
    'interrupt': "trap 'echo got INT; exit 5' INT; echo ready; while :; do sleep 0.05; done",
    'window': "stty size; trap 'stty size; exit 0' WINCH; echo; while :; do sleep 0.05; done",
    'kill': 'echo ready; sleep 1000',
    'suspend': "trap 'echo done; exit' CONT; echo ready; while :; do sleep 0.05; done",
}
master, slave = pty.openpty()
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.close(master)
    os.login_tty(slave) if hasattr(os, 'login_tty') else None
    if not hasattr(os, 'login_tty'):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
    if scenario == 'suspend':
        # As a shell does: the job in a process group of its own, in the foreground of our session.
        job = os.fork()
        if job:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.setpgid(job, job)
            os.tcsetpgrp(0, job)
            os.waitpid(job, os.WUNTRACED)
            restored = termios.tcgetattr(0)[:4] == before[:4]
            print('stopped')
            print('restored' if restored else 'raw', flush=True)
            os.kill(job, signal.SIGCONT)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
        os.setpgid(0, 0)
        # Else ^Z may stop our parent, which is to see the job stop.
        while os.tcgetpgrp(0) != os.getpgrp():
            time.sleep(0.001)
    os.execv(runts, [runts, 'do', '--', 'sh', '-c', scripts[scenario]])

output = b''
reported = 0


def emit():
    """Prints whole new lines, without carriage returns, echoes of ^C and empty lines."""
    global reported
    while b'\n' in output[reported:]:
        end = output.index(b'\n', reported) + 1
        line = output[reported:end].replace(b'\r', b'').replace(b'^C', b'').replace(b'^Z', b'').strip().decode()
        reported = end
        if line:
            print(line, flush=True)


def wait_for(done, seconds=200):
    global output
    end = time.time() + seconds
    while time.time() < end:
        if done():
            return True
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            try:
                output += os.read(master, 65536)
            except OSError:
                return True
            emit()
    print('timed out')
    return False


def is_restored():
    return termios.tcgetattr(slave)[:4] == before[:4]


ended = None


def has_ended():
    global ended
    if ended is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended = status
    return ended is not None


if scenario == 'interrupt':
    wait_for(lambda: b'ready' in output)
    os.write(master, b'\x03')
elif scenario == 'window':
    wait_for(lambda: b'24 80' in output and output.count(b'\n') >= 2)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 100, 0, 0))
elif scenario == 'suspend':
    wait_for(lambda: b'ready' in output)
    os.write(master, b'\x1a')
elif scenario == 'kill':
    wait_for(lambda: b'ready' in output)
    print('restored' if is_restored() else 'raw', flush=True)
    os.kill(pid, signal.SIGKILL)
wait_for(has_ended)
wait_for(is_restored)
# What it wrote last may not have been read: it had only to end.
while select.select([master], [], [], 0)[0]:
    try:
        output += os.read(master, 65536)
    except OSError:
        break
emit()
print('restored' if is_restored() else 'raw')
if scenario != 'kill':
    print('exit', os.waitstatus_to_exitcode(ended))
