# SPDX-License-Identifier: Apache-2.0
# Records what a Linux pty does: recorded-cases.json is made of its output. Usage: record-cases.py cases.json results.json.
import os, pty, termios, json, sys, random, time, fcntl, struct
# One case: iflag, oflag, lflag, cc overrides, steps: list of ["in", bytes-latin1] / ["read", n] / ["write", s] / ["set", {...}]
def setattrs(fd, c):
    a = termios.tcgetattr(fd)
    a[0]=c['iflag']; a[1]=c['oflag']; a[3]=c['lflag']
    for k,v in c.get('cc',{}).items(): a[6][int(k)] = bytes([v]) if int(k) not in (5,6) or c['lflag'] & termios.ICANON else v
    termios.tcsetattr(fd, termios.TCSANOW, a)
def rd(fd,n):
    try: return os.read(fd,n).decode('latin1')
    except BlockingIOError: return None
    except OSError as e: return 'E%d'%e.errno
def drain(fd):
    out=''
    time.sleep(0.004)
    while True:
        r=rd(fd,65536)
        if r is None: return out
        out+=r
def run(c):
    m,s=pty.openpty()
    os.set_blocking(m,False); os.set_blocking(s,False)
    setattrs(s,c)
    res=[]
    for op,arg in c['steps']:
        if op=='in':
            os.write(m,arg.encode('latin1')); res.append(drain(m))
        elif op=='read': res.append(rd(s,arg))
        elif op=='write':
            try: n=os.write(s,arg.encode('latin1'))
            except BlockingIOError: n=-11
            res.append([n,drain(m)])
        elif op=='set':
            setattrs(s,arg); res.append(drain(m))
        elif op=='inq':
            res.append(struct.unpack('i',fcntl.ioctl(s,termios.FIONREAD,b'\0\0\0\0'))[0])
        elif op=='flow':
            termios.tcflow(s,arg); res.append(drain(m))
        elif op=='flush':
            termios.tcflush(s,arg); res.append(drain(m))
        elif op=='pkt':
            fcntl.ioctl(m,termios.TIOCPKT,struct.pack('i',arg)); res.append(None)
        elif op=='mread':
            time.sleep(0.004); res.append(rd(m,arg))
        elif op=='minput':
            os.write(m,arg.encode('latin1')); res.append(None)
    os.close(s); os.close(m)
    return res
if __name__=='__main__':
    cases=json.load(open(sys.argv[1]))
    json.dump([run(c) for c in cases],open(sys.argv[2],'w'))
