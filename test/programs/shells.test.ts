// SPDX-License-Identifier: Apache-2.0
// Shells: what they do with processes, descriptors, signals and terminals.
import { describe, program } from '../support/program.ts';

describe('busybox and coreutils', () => {
  program(
    'busybox pipeline',
    'busybox seq 1 2000 | busybox sort -r | busybox head -n 20 | busybox md5sum',
    {
      needs: ['busybox'],
    },
  );
  program(
    'busybox ash',
    "busybox ash -c 'for i in 1 2 3; do echo $i; done | while read x; do echo got $x; done'",
    {
      needs: ['busybox'],
    },
  );
  program(
    'coreutils',
    [
      'seq 1 100000 | sort -n -r | uniq | wc -l',
      'head -c 1000000 /dev/zero | sha256sum',
      'printf "b\\na\\nc\\n" | tee copy | sort; cat copy',
      'seq 20 | split -l 5 - part-; ls; cat part-* | tac | paste -sd+ ',
      'mkdir -p a/b/c; touch a/b/c/d; cp -r a z; rm -r a; find z | sort',
      'dd if=/dev/zero of=file bs=4096 count=100 2>/dev/null; stat -c "%s %a %F" file; truncate -s 10 file; wc -c < file',
      'ln -s file link; readlink link; realpath link; mv file other; test -e link || echo dangling',
      'echo text | tr a-z A-Z | cut -c 2- | rev',
      'env -i A=1 env; nice -n 5 nice; timeout 1 sleep 10; echo $?',
      'date -u -d @0 +%F; expr 6 \\* 7; basename /a/b.c .c; dirname /a/b.c',
    ].join('\n'),
  );
  program(
    'ls of system directories',
    "ls -la /etc | head -50 | awk 'NR > 1 {print $1, $2, $9}'; ls /usr/bin | wc -l; ls -l /dev/null | cut -c 1-10",
  );
  program('yes and head', 'yes | head -n 100000 | wc -l');
  program('large pipe', 'head -c 50000000 /dev/zero | cat | cat | md5sum', { seconds: 150 });
});

describe('bash', () => {
  program(
    'here-documents',
    'x=5\ncat <<EOF\nvalue $x $((x*2))\nEOF\ncat <<\'EOF\'\n$x\nEOF\ncat <<< "string $x"',
  );
  program(
    'process substitution',
    'diff <(seq 5) <(seq 2 6); paste <(echo a) <(echo b); echo hi > >(cat); wait $!',
  );
  program(
    'traps',
    'trap "echo exit trap" EXIT; trap "echo got usr1" USR1; kill -USR1 $$; (trap "echo sub" EXIT; exit 3); echo $?; trap "" TERM; kill $$; echo survived',
  );
  program(
    'signals and exit codes',
    'bash -c "kill -9 \\$\\$"; echo $?; bash -c "kill -TERM \\$\\$"; echo $?; sleep 10 & kill %1; wait $!; echo $?; false | true; echo ${PIPESTATUS[@]}',
  );
  program(
    'job control',
    [
      'set -m',
      'sleep 0.2 & sleep 0.1 & wait; echo both done',
      'sh -c "kill -STOP \\$\\$; exit 7" & pid=$!',
      'while ! grep -q "State:.T" /proc/$pid/status; do sleep 0.01; done',
      'jobs | sed "s/ *$//"',
      'fg %% >/dev/null; echo fg gave $?',
      '(sleep 5; echo never) & kill %%; wait %% 2>/dev/null; echo $?',
    ].join('\n'),
  );
  program(
    'coprocess',
    'coproc tr a-z A-Z; echo hello >&${COPROC[1]}; exec {COPROC[1]}>&-; cat <&${COPROC[0]}',
  );
  program(
    'descriptors',
    'exec 3>file 4<&0; echo to three >&3; exec 3>&-; cat file; { echo out; echo err >&2; } 2>&1 >/dev/null; read a b < <(echo 1 2 3); echo $b',
  );
  program(
    'arrays and strings',
    'declare -A m=([a]=1 [b]=2); for k in a b; do echo $k=${m[$k]}; done; s=hello; echo ${s^^} ${s:1:3} ${#s} ${s/l/L}; printf "%05d %x %s\\n" 42 255 end; a=({1..5}); echo ${a[@]: -2}',
  );
  program('many forks', 'n=0; for i in $(seq 200); do n=$((n + $(echo 1))); done; echo $n', {
    seconds: 150,
  });
  program(
    'globs',
    'touch {a,b,c}{1,2,3}.txt; echo *1.txt [ab]2*; shopt -s extglob\necho !(a*); rm *.txt; echo *',
  );
  program(
    'pipes with a dying reader',
    'yes | head -1; echo ${PIPESTATUS[0]}; set -o pipefail; seq 100000 | head -1 >/dev/null; echo $?',
  );
  program(
    'read with a timeout',
    'read -t 0.1 x < <(exec sleep 1000); echo $?; kill $!; time_before=$SECONDS; sleep 0.2; echo $((SECONDS - time_before < 100))',
  );
  program(
    'wait -n',
    'sleep 1000 & (sleep 0.05; exit 4) & wait -n; echo $?; kill %1; wait; echo $?',
  );
  program(
    'ulimit',
    '(ulimit -n 50; ulimit -n); (ulimit -f 1; head -c 10000 /dev/zero > big; echo $?) 2>/dev/null; ulimit -c 0; ulimit -c',
  );
  program('select over stdin', 'while read -r line; do echo "<$line>"; done', {
    stdin: 'one\ntwo\nlast',
  });
});

describe('dash', () => {
  const shell = '/bin/dash';
  program(
    'dash script',
    'f() { echo "f $1 $#"; return 3; }; f a b; echo $?; x=$(f z); echo "$x"; for i in 1 2; do case $i in 1) echo one;; *) echo other;; esac; done; set -- a b c; shift; echo "$@"',
    { shell },
  );
  program(
    'dash background',
    '(until [ -e told ]; do sleep 0.05; done; echo late) & echo early; >told; wait; trap "echo bye" 0; exit 5',
    { shell },
  );
  program('dash pipes', 'echo abc | sed s/b/X/ | { read x; echo "[$x]"; }; ! true; echo $?', {
    shell,
  });
});

describe('terminals', () => {
  program(
    'script(1) gives a terminal',
    'script -qec "tty | sed s/[0-9]*\\$/N/; stty size; test -t 1 && echo terminal" /dev/null < /dev/null',
    {
      needs: ['script'],
    },
  );
  program(
    'stty over script(1)',
    'script -qec "stty -echo; stty -a | grep -o -- \'[-]*echo \' | head -1; stty sane" /dev/null < /dev/null',
    {
      needs: ['script'],
    },
  );
});
