// SPDX-License-Identifier: Apache-2.0
// Headless Chromium, as Puppeteer and Playwright start it.
import { describe, program } from '../support/program.ts';

const page =
  '<title>t</title><body style="background:#080"><p id=p>x</p><script>p.textContent=6*7</script>';
/** The profile directory is the case's own; what Chromium says of the missing D-Bus goes away. */
const chromium =
  'timeout 200 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir=$HOME/profile';

describe('chromium', () => {
  const options = { needs: ['chromium', 'python3'], seconds: 240 };
  const start = `export HOME=$PWD; echo '${page}' > i.html`;
  program(
    'a page of a file',
    `${start}; ${chromium} --dump-dom file://$PWD/i.html 2>/dev/null`,
    options,
  );
  program(
    'a screenshot of a page of a server inside',
    [
      start,
      `python3 -u -m http.server 0 --bind 127.0.0.1 > log 2>&1 & server=$!`,
      `for i in $(seq 200); do port=$(sed -n 's/.*port \\([0-9]*\\).*/\\1/p' log); [ -n "$port" ] && break; sleep 0.1; done`,
      `${chromium} --window-size=200,100 --screenshot=$PWD/s.png http://127.0.0.1:$port/i.html 2>/dev/null; echo $?`,
      `kill $server; grep -c 'GET /i.html' log; md5sum s.png`,
    ].join('\n'),
    options,
  );
});
