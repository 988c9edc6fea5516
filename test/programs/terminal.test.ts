// SPDX-License-Identifier: Apache-2.0
// Interactive programs on a terminal, as a person sees them: tmux types into `runts do -- bash`.
import { afterAll, afterEach, beforeEach, expect, describe as group, it as one } from 'vitest';
import { until } from '../lifecycle/command.ts';
import {
  childrenOf,
  type SandboxProcesses,
  sandboxProcesses,
} from '../lifecycle/sandbox-processes.ts';
import { runts } from '../support/run.ts';
import { GUEST_PROMPT, Terminal } from '../support/terminal.ts';

let terminal: Terminal;

/** Cases that share one shell; each finds it at its prompt, a new one where the case before failed. */
function inShell(name: string, enter: () => Promise<void>, cases: () => void): void {
  group(name, () => {
    let usable = false;
    beforeEach(async () => {
      if (!usable) {
        terminal?.close();
        terminal = await Terminal.open();
        await enter();
      }
      usable = false;
      await clear();
    });
    afterEach(({ task }) => {
      usable = task.result?.state !== 'fail';
    });
    afterAll(() => terminal?.close());
    cases();
  });
}

const inGuestShell = (name: string, cases: () => void): void =>
  inShell(name, () => enterGuest(terminal), cases);

const inHostShell = (name: string, cases: () => void): void =>
  inShell(name, async () => undefined, cases);

async function enterGuest(at: Terminal): Promise<void> {
  at.line(`${runts} do --env 'PS1=${GUEST_PROMPT}' -- bash --norc --noprofile`);
  await at.waitForPrompt('guest');
}

/** What cases before left on the screen must not be taken for this one's. */
async function clear(): Promise<void> {
  const { number } = await terminal.waitForPrompt();
  terminal.line('clear');
  await terminal.waitForPrompt(undefined, number);
}

/** Types `text`, then presses `keys`, then Enter; answers what the line wrote. */
async function edited(...strokes: readonly (string | readonly string[])[]): Promise<string> {
  const end = await terminal.finish(() => {
    for (const stroke of strokes) {
      if (typeof stroke === 'string') terminal.type(stroke);
      else terminal.keys(...stroke);
    }
    terminal.keys('Enter');
  });
  return end.output;
}

inGuestShell('line editing of bash', () => {
  one('arrows', async () => {
    expect(await edited('echo ac', ['Left'], 'b', ['Right'], 'd')).toBe('abcd');
  });
  one('backspace and delete', async () => {
    expect(await edited('echo abx', ['BSpace'], 'cyd', ['Left', 'Left', 'DC'])).toBe('abcd');
  });
  one('^A and ^E', async () => {
    expect(await edited('cho begin', ['C-a'], 'e', ['C-e'], ' end')).toBe('begin end');
  });
  one('^U and ^Y', async () => {
    expect(await edited('echo x', ['C-u'], 'echo kept; ', ['C-y'])).toBe('kept\nx');
  });
  one('^W', async () => {
    expect(await edited('echo one two', ['C-w'], 'three')).toBe('one three');
  });
  one('words with Alt', async () => {
    expect(await edited('echo one two', ['M-b'], 'and ')).toBe('one and two');
  });
  one('history', async () => {
    await terminal.run('echo first');
    await terminal.run('echo second');
    expect(await edited(['Up', 'Up'])).toBe('first');
    expect(await edited(['C-p', 'C-p', 'C-n'])).toBe('first');
    expect(await edited(['C-r'], 'sec', ['C-a'])).toBe('second');
  });
  one('completion', async () => {
    await terminal.run('mkdir -p /tmp/completion; touch /tmp/completion/the-only-file');
    expect(await edited('echo /tmp/completion/the', ['Tab'])).toBe('/tmp/completion/the-only-file');
  });
  one('^C drops the line', async () => {
    terminal.type('echo never');
    await terminal.see(/> echo never$/);
    terminal.keys('C-c');
    await terminal.see(/echo never\^C\n/);
    expect((await terminal.waitForPrompt('guest')).status).toBe(130);
    expect(await edited('echo again')).toBe('again');
  });
  one('a command over several lines', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('for i in 1 2; do');
      await terminal.see(/^> *$/m);
      terminal.line('echo $i; done');
    });
    expect(end.output).toMatch(/\n1\n2$/);
  });
});

inGuestShell('line editing of the terminal', () => {
  const cat = (...strokes: readonly (string | readonly string[])[]): Promise<string> =>
    catWith('cat', strokes);
  const catWith = async (
    command: string,
    strokes: readonly (string | readonly string[])[],
  ): Promise<string> => {
    const end = await terminal.finish(async () => {
      // Keys before that would be the line editor's.
      terminal.line(`(echo ready; exec ${command} > /tmp/typed); echo over`);
      await terminal.see(/^ready$/m);
      for (const stroke of strokes) {
        if (typeof stroke === 'string') terminal.type(stroke);
        else terminal.keys(...stroke);
      }
      terminal.keys('Enter', 'C-d');
      await terminal.see(/^over$/m);
    });
    expect(end.status).toBe(0);
    return (await terminal.run('cat -v /tmp/typed')).output;
  };

  one('backspace', async () => {
    expect(await cat('abx', ['BSpace'], 'c')).toBe('abc');
  });
  one('^U and ^W', async () => {
    expect(await cat('rubbish', ['C-u'], 'one two', ['C-w'], 'three')).toBe('one three');
  });
  one('^V takes the next key as it is', async () => {
    expect(await cat('a', ['C-v', 'C-c'], 'b')).toBe('a^Cb');
  });
  one('^D twice ends a line without a newline', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('(echo ready; exec cat)');
      await terminal.see(/^ready$/m);
      terminal.type('part');
      await terminal.see(/^part$/m);
      terminal.keys('C-d');
      await terminal.see(/^partpart$/m);
      terminal.keys('C-d');
    });
    expect(end.status).toBe(0);
  });
  one('^S holds output, ^Q lets it go', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('(echo ready; exec cat)');
      await terminal.see(/^ready$/m);
      terminal.line('seen');
      await terminal.see(/^seen\nseen$/m);
      terminal.keys('C-s');
      terminal.line('held');
      terminal.keys('C-q');
      await terminal.see(/^held\nheld$/m);
      terminal.keys('C-d');
    });
    expect(end.status).toBe(0);
  });
  one('without echo', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('read -s -p "Password: " p; echo; echo "<$p>"');
      await terminal.see(/^Password:$/m);
      terminal.line('secret');
    });
    expect(end.output).toBe('Password:\n<secret>');
  });
});

inGuestShell('signals from keys', () => {
  /** Runs `command`, which writes `ready`, presses the key, answers the exit status. */
  const pressed = async (
    command: string,
    key: string,
  ): Promise<{ output: string; status: number }> =>
    terminal.finish(async () => {
      terminal.line(command);
      await terminal.see(/^ready$/m);
      terminal.keys(key);
    });

  one('^C interrupts a program', async () => {
    expect((await pressed("sh -c 'echo ready; exec sleep 1000'", 'C-c')).status).toBe(130);
  });
  one('^C interrupts a pipeline', async () => {
    expect((await pressed("sh -c 'echo ready; exec sleep 1000' | cat | cat", 'C-c')).status).toBe(
      130,
    );
  });
  one('^C runs a trap', async () => {
    // Without children: bash ignores the ^C where a child of its loop has not yet come to exec(2).
    const script = `bash -c 'trap "echo caught; exit 3" INT; echo ready; while :; do :; done'`;
    const end = await pressed(script, 'C-c');
    expect(end.output).toMatch(/caught$/);
    expect(end.status).toBe(3);
  });
  one('^C interrupts a program that only computes', async () => {
    expect((await pressed(`bash -c 'echo ready; while :; do :; done'`, 'C-c')).status).toBe(130);
  });
  one('^\\ makes a program quit', async () => {
    const end = await pressed('(ulimit -c 0; echo ready; exec sleep 1000)', 'C-\\');
    expect(end.output).toMatch(/Quit/);
    expect(end.status).toBe(131);
  });
  one('^D ends a program’s input', async () => {
    const end = await pressed('echo ready; cat', 'C-d');
    expect(end).toEqual({ output: 'ready', status: 0 });
  });
  one('^D ends a shell', async () => {
    const end = await terminal.finish(async () => {
      terminal.line("PS1='inner> ' bash --norc --noprofile");
      await terminal.see(/^inner>$/m);
      terminal.keys('C-d');
    });
    expect(end.status).toBe(0);
  });
});

inGuestShell('job control', () => {
  const start = async (command: string, key: string): Promise<number> =>
    (
      await terminal.finish(async () => {
        terminal.line(command);
        await terminal.see(/^ready$/m);
        terminal.keys(key);
      })
    ).status;

  one('^Z, jobs, bg, fg, ^C', async () => {
    expect(await start("bash -c 'echo ready; sleep 1000; exit 1'", 'C-z')).toBe(148);
    expect((await terminal.run('jobs')).output).toMatch(/^\[1\]\+ +Stopped +bash -c/);
    await terminal.run('bg');
    expect((await terminal.run('jobs')).output).toMatch(/^\[1\]\+ +Running +bash -c/);
    const end = await terminal.finish(async () => {
      terminal.line('fg');
      await terminal.see(/\bfg\nbash -c 'echo ready/);
      terminal.keys('C-c');
    });
    expect(end.status).toBe(130);
    expect((await terminal.run('jobs')).output).toBe('');
  });
  one('a stopped pipeline goes on with fg', async () => {
    expect(await start("(echo ready; cat) | sed -u 's/words/WORDS/'", 'C-z')).toBe(148);
    const end = await terminal.finish(async () => {
      terminal.line('fg');
      await terminal.see(/ fg\n/);
      terminal.line('words');
      terminal.keys('C-d');
    });
    expect(end.output).toMatch(/words\nWORDS$/);
    expect(end.status).toBe(0);
  });
  one('a background reader is stopped', async () => {
    await terminal.run('cat &');
    await stoppedJob(/Stopped +cat/);
    expect((await terminal.run('kill %cat; wait %cat; echo $?')).output).toMatch(/143$/);
  });
  one('a background writer is stopped where the terminal says so', async () => {
    await terminal.run('stty tostop; echo words &');
    await stoppedJob(/Stopped +echo words/);
    const end = await terminal.run('fg');
    expect(end.output).toMatch(/words$/);
    await terminal.run('stty -tostop');
  });

  /** The shell says so before a prompt: asked until it does. */
  async function stoppedJob(wanted: RegExp): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const { output } = await terminal.run('jobs');
      if (wanted.test(output)) return;
      await terminal.run('sleep 0.05');
    }
    throw new Error(`no job ${wanted}:\n${terminal.screen()}`);
  }
});

inGuestShell('programs', () => {
  one('vim writes a file', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('vim.tiny -u NONE /tmp/edited');
      await terminal.see(/^~\n[\s\S]*"\/tmp\/edited"/m);
      terminal.type('ifirst');
      terminal.keys('Enter');
      terminal.type('second');
      terminal.keys('Escape');
      terminal.type('kAx');
      terminal.keys('Escape');
      await terminal.see(/^firstx\nsecond\n~/);
      terminal.line(':wq');
    });
    expect(end.status).toBe(0);
    expect((await terminal.run('cat /tmp/edited')).output).toBe('firstx\nsecond');
  });
  one('vim follows the size', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('vim.tiny -u NONE /tmp/sized');
      await terminal.see(/"\/tmp\/sized"/);
      const tildes = (): number =>
        terminal
          .screen()
          .split('\n')
          .filter((line) => line === '~').length;
      expect(tildes()).toBe(22);
      terminal.resize({ columns: 80, rows: 15 });
      await terminal.see(/^\n(~(\n|$)){13}(?!~)/);
      terminal.resize({ columns: 80, rows: 24 });
      await terminal.see(/^\n(~(\n|$)){22}(?!~)/);
      terminal.line(':q');
    });
    expect(end.status).toBe(0);
  });
  one('top draws and quits', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('top -d 100');
      await terminal.see(/^top - [\s\S]*^Tasks: [\s\S]*^ +PID USER[\s\S]* top$/m);
      terminal.type('q');
    });
    expect(end.status).toBe(0);
  });
  one('less pages, searches and quits', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('seq 1000 | less');
      await terminal.see(/^1\n2\n[\s\S]*^23\n:$/m);
      terminal.keys('Space');
      await terminal.see(/^24\n[\s\S]*^46\n:$/m);
      terminal.line('/^777$');
      await terminal.see(/^777\n778\n/);
      terminal.type('G');
      await terminal.see(/^1000\n\(END\)$/m);
      terminal.type('q');
    });
    expect(end.status).toBe(0);
  });
  one('less over a file, resized', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('seq 1000 > /tmp/numbers; less /tmp/numbers');
      await terminal.see(/^23\n\/tmp\/numbers$/m);
      terminal.resize({ columns: 80, rows: 12 });
      await terminal.see(/^11\n\S+$/m);
      terminal.resize({ columns: 80, rows: 24 });
      await terminal.see(/^23\n\S+$/m);
      terminal.type('q');
    });
    expect(end.status).toBe(0);
  });
  one('python3 as a person uses it', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('/usr/bin/python3 -q');
      await terminal.see(/^>>>$/m);
      terminal.line('6*7');
      await terminal.see(/^42\n>>>$/m);
      terminal.keys('Up');
      terminal.line('0');
      await terminal.see(/^420\n>>>$/m);
      terminal.line('import time; time.sleep(1000)');
      await terminal.see(/sleep\(1000\)$/m);
      terminal.keys('C-c');
      await terminal.see(/^KeyboardInterrupt\n>>>$/m);
      terminal.line('input("Name? ")');
      await terminal.see(/^Name\?$/m);
      terminal.line('me');
      await terminal.see(/^'me'\n>>>$/m);
      terminal.keys('C-d');
    });
    expect(end.status).toBe(0);
  });
  one('a single key, without Enter', async () => {
    const end = await terminal.finish(async () => {
      terminal.line('read -n1 -p "Key: " key; echo; echo "<$key>"');
      await terminal.see(/^Key:$/m);
      terminal.type('x');
    });
    expect(end.output).toBe('Key: x\n<x>');
  });
  one('raw mode: keys come as they are', async () => {
    const end = await terminal.finish(async () => {
      terminal.line(
        'stty raw -echo; echo ready; dd bs=1 count=5 2>/dev/null | od -An -tx1; stty sane',
      );
      await terminal.see(/^ready$/m);
      terminal.keys('C-c', 'C-z', 'C-d', 'C-m', 'a');
    });
    expect(end.output).toMatch(/03 1a 04 0d 61$/);
  });
  one('answers of the terminal come back as input', async () => {
    const command = `stty -echo; printf '\\e[6n'; read -d R at; stty echo; echo "\${at:1}"`;
    expect((await terminal.run(command)).output).toMatch(/\[\d+;1$/);
  });
  one('bracketed paste is off while a program runs', async () => {
    // Where it is on, the terminal sends ESC [200~ around what is pasted.
    await terminal.run("bind 'set enable-bracketed-paste on'");
    const end = await terminal.finish(async () => {
      terminal.line('cat | cat -v');
      await terminal.see(/cat -v$/);
      terminal.paste('pasted');
      terminal.keys('Enter');
      await terminal.see(/^pasted\npasted$/m);
      terminal.keys('C-d');
    });
    expect(end.status).toBe(0);
    terminal.paste('echo two\necho lines');
    await terminal.see(/> echo two\necho lines$/);
    terminal.keys('Enter');
    await terminal.see(/lines\ntwo\nlines\n/);
    await terminal.run("bind 'set enable-bracketed-paste off'");
  });
  one('a terminal in the terminal', async () => {
    const end = await terminal.finish(async () => {
      terminal.line(
        `script -qc "bash --norc --noprofile -c 'tty; read x; echo got \\$x; exit 4'" /dev/null`,
      );
      await terminal.see(/^\/dev\/pts\/1$/m);
      terminal.line('words');
    });
    expect(end.output).toBe('/dev/pts/1\nwords\ngot words');
    expect((await terminal.run('script -qec "exit 4" /dev/null')).status).toBe(4);
  });
  one('^C and ^Z in the terminal in the terminal', async () => {
    const end = await terminal.finish(async () => {
      terminal.line(`script -qc "env PS1='inner> ' bash --norc --noprofile" /dev/null`);
      await terminal.see(/^inner>$/m);
      terminal.line("sh -c 'echo ready; exec sleep 1000'");
      await terminal.see(/^ready$/m);
      terminal.keys('C-z');
      await terminal.see(/Stopped[\s\S]*inner>$/);
      terminal.line('fg');
      await terminal.see(/fg\nsh -c/);
      terminal.keys('C-c');
      await terminal.see(/\^C\ninner>$/);
      terminal.line('exit');
    });
    expect(end.status).toBe(0);
  });
  one('the size, and SIGWINCH when it changes', async () => {
    expect((await terminal.run('stty size')).output).toBe('24 80');
    const end = await terminal.finish(async () => {
      terminal.line(
        `bash -c 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.05; done'`,
      );
      await terminal.see(/^ready$/m);
      terminal.resize({ columns: 100, rows: 30 });
    });
    expect(end.output).toBe('ready\n30 100');
    await clear();
    expect((await terminal.run('stty size; tput cols; echo $COLUMNS')).output).toBe(
      '30 100\n100\n100',
    );
    terminal.resize({ columns: 80, rows: 24 });
  });
  one('setsid has no terminal', async () => {
    expect((await terminal.run("setsid -w bash -c 'echo x > /dev/tty'")).status).toBe(1);
  });
});

inHostShell('the host’s terminal', () => {
  const settings = async (): Promise<string> => (await terminal.run('stty -g')).output;

  /** Its settings are what they were, and readline works. */
  async function unharmed(act: () => Promise<void>): Promise<void> {
    const before = await settings();
    await act();
    await terminal.waitForPrompt('host');
    expect(await settings()).toBe(before);
    expect(await edited('echo ac', ['Left'], 'b')).toBe('abc');
  }

  one('is as before after an exit, whose code is shown', async () => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        await enterGuest(terminal);
        await terminal.run('stty raw -echo; stty sane; stty -icanon');
        terminal.line('exit 42');
      });
      expect(end.status).toBe(42);
    });
  });
  one('is as before after ^D', async () => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        await enterGuest(terminal);
        terminal.keys('C-d');
      });
      expect(end.status).toBe(0);
    });
  });
  one('is as before after ^C', async () => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        terminal.line(`${runts} do -- sh -c 'echo ready; sleep 1000'`);
        await terminal.see(/^ready$/m);
        terminal.keys('C-c');
      });
      expect(end.status).toBe(130);
    });
  });

  const victims: readonly (readonly [string, (of: SandboxProcesses) => number, number, RegExp])[] =
    [
      ['the command line', (of) => of.cli, 137, /Killed/],
      ['the launcher', (of) => of.launcher, 125, /launcher was killed/],
      ['the Sentry', (of) => of.sentry, 125, /sentry was killed/],
    ];
  one.each(victims)('is as before after kill -9 of %s', async (_name, pid, status, says) => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        await enterGuest(terminal);
        const of = await until(() => sandboxProcesses(commandLinePid()));
        process.kill(pid(of), 'SIGKILL');
      });
      expect(end.status).toBe(status);
      expect(end.output).toMatch(says);
    });
  });

  one('serves a program whose output is a pipe', async () => {
    await unharmed(async () => {
      const end = await terminal.run(`${runts} do -- ls -d /etc /usr | cat`);
      expect(end).toEqual({ output: '/etc\n/usr', status: 0 });
    });
  });
  one('serves a program whose output is a pipe, with lines', async () => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        terminal.line(`${runts} do -- sh -c 'echo ready; read x; echo got $x' | cat`);
        await terminal.see(/^ready$/m);
        terminal.type('worx');
        terminal.keys('BSpace');
        terminal.line('ds');
      });
      expect(end.output).toBe('ready\nwords\ngot words');
    });
  });
  one('serves a program whose input is a pipe', async () => {
    await unharmed(async () => {
      const end = await terminal.run(`echo words | ${runts} do -- tr a-z A-Z`);
      expect(end).toEqual({ output: 'WORDS', status: 0 });
    });
  });
  one('^C reaches a program whose output is a pipe', async () => {
    await unharmed(async () => {
      const end = await terminal.finish(async () => {
        terminal.line(`${runts} do -- sh -c 'echo ready; exec sleep 1000' | cat`);
        // On a busy machine bash's own line feed may come late: the command line ends with 'cat'.
        await terminal.see(/ready$/m);
        terminal.keys('C-c');
      });
      expect(end.status).toBe(130);
    });
  });

  one('^Z stops the whole of it; fg goes on', async () => {
    await unharmed(async () => {
      const stopped = await terminal.finish(async () => {
        terminal.line(`${runts} do -- sleep 1000`);
        await until(() => isRaw());
        terminal.keys('C-z');
      });
      expect(stopped.output).toMatch(/Stopped/);
      expect(isRaw()).toBe(false);
      const end = await terminal.finish(async () => {
        terminal.line('fg');
        await until(() => isRaw());
        terminal.keys('C-c');
      });
      expect(end.status).toBe(130);
    });
  });
  one('^Z stops a program that reads; fg goes on', async () => {
    await unharmed(async () => {
      const stopped = await terminal.finish(async () => {
        terminal.line(`${runts} do -- cat`);
        terminal.line('one');
        await terminal.see(/^one\none$/m);
        terminal.keys('C-z');
      });
      expect(stopped.output).toMatch(/Stopped/);
      expect((await terminal.run('echo between')).output).toBe('between');
      const end = await terminal.finish(async () => {
        terminal.line('fg');
        await until(() => isRaw());
        terminal.line('two');
        await terminal.see(/^two\ntwo$/m);
        terminal.keys('C-d');
      });
      expect(end.status).toBe(0);
    });
  });
  one('in the background it runs and leaves the terminal alone', async () => {
    await unharmed(async () => {
      const end = await terminal.run(`${runts} do -- sh -c 'sleep 0.2; exit 6' & wait $!`);
      expect(end.status).toBe(6);
    });
  });
  one('keys go to the shell while it is in the background, to it after fg', async () => {
    await unharmed(async () => {
      await terminal.run(`${runts} do -- sh -c 'echo ready; read x; echo got $x; exit 7' &`);
      await terminal.see(/ready$/m);
      // It wrote over the prompt.
      terminal.keys('Enter');
      expect(await edited('echo ac', ['Left'], 'b')).toBe('abc');
      const end = await terminal.finish(async () => {
        terminal.line('fg');
        await until(() => isRaw());
        terminal.line('words');
      });
      expect(end.output).toMatch(/words\ngot words$/);
      expect(end.status).toBe(7);
    });
  });
  one('bg lets a stopped one go on', async () => {
    await unharmed(async () => {
      await terminal.finish(async () => {
        terminal.line(
          `${runts} do -- sh -c 'trap "exit 8" USR1; echo ready; while :; do sleep 0.05; done'`,
        );
        await terminal.see(/^ready$/m);
        terminal.keys('C-z');
      });
      await terminal.run('bg');
      expect((await terminal.run('jobs')).output).toMatch(/Running/);
      expect((await terminal.run('kill -USR1 %1; wait %1')).status).toBe(8);
    });
  });

  /** The command line that the host's shell has in the foreground. */
  function commandLinePid(): number {
    return childrenOf(terminal.shellPid)[0] ?? 0;
  }

  /** The guest has the host's terminal: without a shell in it nothing else tells that it runs. */
  function isRaw(): boolean {
    return terminal.settings().includes('-opost');
  }
});
