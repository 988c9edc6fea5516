// SPDX-License-Identifier: Apache-2.0
// Text tools, archives, git, sqlite, perl.
import { describe, program } from '../support/program.ts';

describe('text tools', () => {
  program(
    'sed',
    'seq 10 | sed -n "2,4p;\\$p"; printf "a b\\nc d\\n" > f; sed -i "s/\\(.\\) \\(.\\)/\\2 \\1/" f; cat f; sed "1!G;h;\\$!d" f',
  );
  program(
    'awk',
    'seq 1000 | awk \'{s+=$1; if ($1 % 7 == 0) n++} END {print s, n}\'; echo "a:b:c" | awk -F: -v OFS=- \'{$1=$1; print}\'; awk \'BEGIN {while (("echo x; echo y" | getline line) > 0) print "got", line; print "z" | "cat"; close("cat"); system("echo sys")}\'',
  );
  program(
    'grep',
    'grep -rc include /usr/include/linux | sort | head -50; echo abc | grep -q b && echo yes; grep -c . /etc/passwd; grep -rl "struct stat " /usr/include | sort | head',
  );
  program(
    'find',
    'find /usr/include -name "*.h" -size +20k | sort | head -30; find /usr/include/linux -type f | wc -l; find /etc -maxdepth 1 -type l | sort; mkdir d; touch d/x; touch -d @5 d; find d -newer d; find d -type d -o -name x -exec echo {} \\;',
    {},
  );
  program(
    'xargs',
    'seq 100 | xargs -P4 -n5 sh -c \'echo $(($# ))\' sh | sort | uniq -c; seq 20 | xargs -P4 -I{} sh -c "sleep 0.01; echo {}" | sort -n | tail -3; printf "a\\0b c\\0" | xargs -0 -n1 echo',
  );
  program('sort big', 'seq 300000 | shuf --random-source=/dev/zero | sort -n -S 2M | md5sum', {
    seconds: 90,
  });
  program(
    'diff and patch',
    'seq 20 > a; sed "s/7/seven/;15d" a > b; diff -u --label a --label b a b > p; cat p; patch -s a p && cmp a b && echo same',
    { needs: ['patch', 'diff'] },
  );
});

describe('archives', () => {
  program(
    'tar',
    'mkdir -p t/s; seq 1000 > t/a; ln -s a t/l; ln t/a t/h; chmod 750 t/s; tar --sort=name -cf x.tar t; tar tvf x.tar | awk \'{print $1, $3, $6, $7, $8}\'; rm -r t; tar xf x.tar; find t -printf "%p %m %n %y %l\\n" | sort; md5sum t/a',
  );
  program(
    'tar of headers',
    'tar czf - -C /usr/include linux | tar tzf - | sort | md5sum; tar cf - -C /usr/include linux | (mkdir x; cd x; tar xf -); diff -r /usr/include/linux x/linux && echo same',
    { seconds: 120 },
  );
  program(
    'gzip',
    "seq 200000 > f; gzip -k f; gzip -l f.gz | tail -1 | awk '{print $2}'; zcat f.gz | cmp - f && echo same; gunzip -c f.gz | md5sum",
  );
  program(
    'xz -T2',
    'seq 300000 > f; xz -T2 -1 -k f; xz -dc f.xz | cmp - f && echo same; xz -l --robot f.xz | grep -c file',
    { needs: ['xz'], seconds: 90 },
  );
  program(
    'zip with python',
    "python3 -c \"import zipfile; z=zipfile.ZipFile('a.zip','w',zipfile.ZIP_DEFLATED); z.writestr('x','y'*10000); z.close(); print(zipfile.ZipFile('a.zip').testzip(), len(zipfile.ZipFile('a.zip').read('x')))\"",
    { needs: ['/usr/bin/python3'] },
  );
});

const gitSetup = [
  'export GIT_AUTHOR_DATE="2024-01-01T00:00:00Z" GIT_COMMITTER_DATE="2024-01-01T00:00:00Z"',
  'export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b',
  'git init -q -b main repo && cd repo',
].join('\n');

describe('git', () => {
  const options = { needs: ['git'], seconds: 90, env: { HOME: '/nonexistent' } };
  program(
    'git commit and log',
    `${gitSetup}\nfor i in 1 2 3; do seq $i 100 > f$i; git add . ; git commit -q -m "commit $i"; done; git log --oneline; git status --short; echo x >> f1; git diff --stat; git stash -q; git status`,
    options,
  );
  program(
    'git clone and gc',
    `${gitSetup}\nfor i in $(seq 20); do seq $i 200 > f$i; done; git add .; git commit -q -m all; git gc -q; cd ..; git clone -q repo copy; cd copy; git log --format=%H; git fsck; ls | wc -l; git rev-list --objects --all | wc -l`,
    options,
  );
  program(
    'git branches and merge',
    `${gitSetup}\nseq 10 > f; git add f; git commit -q -m base; git switch -q -c side; sed -i s/3/three/ f; git commit -qam side; git switch -q main; sed -i s/8/eight/ f; git commit -qam main; git merge -q -m merged side; cat f | md5sum; git log --graph --oneline; git rebase -q side; git blame -s f | head -3; git tag v1; git describe`,
    options,
  );
  program(
    'git archive and grep',
    `${gitSetup}\ncp -r /usr/include/linux/netfilter .; git add .; git commit -q -m headers; git grep -c struct | sort | head; git archive HEAD | tar t | wc -l; git ls-files | md5sum`,
    options,
  );
});

describe('sqlite3', () => {
  const options = { needs: ['sqlite3'], seconds: 90 };
  program(
    'sqlite basics',
    'sqlite3 db "create table t(a integer primary key, b text); insert into t(b) values (\'x\'),(\'y\'); select * from t; pragma integrity_check;"; sqlite3 db "with recursive c(n) as (select 1 union all select n+1 from c where n<10000) insert into t(b) select n from c; select count(*), sum(a) from t"',
    options,
  );
  program(
    'sqlite WAL with concurrent writers',
    [
      'sqlite3 db "pragma journal_mode=wal; create table t(w int, n int)"',
      'for w in 1 2 3 4; do (for n in $(seq 25); do sqlite3 -cmd ".timeout 30000" db "insert into t values ($w, $n)"; done) & done',
      'wait; sqlite3 db "select w, count(*), sum(n) from t group by w; pragma integrity_check; pragma wal_checkpoint(truncate)"',
    ].join('\n'),
    options,
  );
  program(
    'sqlite rollback journal with readers',
    'sqlite3 db "create table t(a)"; (for i in $(seq 20); do sqlite3 -cmd ".timeout 30000" db "insert into t values ($i)"; done) & (for i in $(seq 20); do sqlite3 -cmd ".timeout 30000" db "select count(*) from t" >/dev/null; done) & wait; sqlite3 db "select count(*) from t"',
    options,
  );
});

describe('perl', () => {
  const needs = ['perl'];
  program(
    'perl basics',
    'perl -e \'my %h; $h{$_ % 7}++ for 1..1000; print "$_ $h{$_}\\n" for sort keys %h; print join(",", map { sprintf "%.3f", sqrt } 1..5), "\\n"; printf "%s\\n", "abc" =~ /b(.)/ ? $1 : "no"\'',
    { needs },
  );
  program(
    'perl fork and pipes',
    'perl -e \'$| = 1; pipe(R, W); if (fork == 0) { close R; print W "line $_\\n" for 1..5; exit 3 } close W; print while <R>; wait; print $? >> 8, "\\n"; local $SIG{ALRM} = sub { die "alarm\\n" }; eval { alarm 1; select undef, undef, undef, 10 }; print $@; print `echo backtick`; print -e "/etc/passwd" ? "yes\\n" : "no\\n"\'',
    { needs },
  );
  program(
    'perl in place',
    'seq 5 > f; perl -pi -e "s/3/three/" f; cat f; perl -MFile::Find -e \'find(sub { $n++ if -f }, "/usr/include/linux"); print "$n\\n"\'',
    { needs },
  );
});
