// SPDX-License-Identifier: Apache-2.0
// System V IPC by programs that use it: util-linux, perl, PostgreSQL. In IPC namespaces of their
// own, so that ids and limits are the same on both sides.
import { describe, program } from '../support/program.ts';

/** `script` in a new IPC namespace. */
const apart = (script: string): string =>
  `unshare --ipc bash -c '${script.replaceAll("'", "'\\''")}'`;

const perl = String.raw`
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_NOWAIT S_IRUSR S_IWUSR);
use IPC::Semaphore; use IPC::Msg; use IPC::SharedMem;
$| = 1;
my $mode = S_IRUSR | S_IWUSR | IPC_CREAT;
my $sem = IPC::Semaphore->new(IPC_PRIVATE, 10, $mode) or die "semget: $!";
$sem->setall((0) x 10);
my $pid = fork;
if (!$pid) { $sem->op(2, -1, 0); $sem->op(3, 5, 0); exit 0 }
select undef, undef, undef, 0.02 until $sem->getncnt(2);
$sem->op(2, 1, 0); waitpid $pid, 0;
print join(" ", $sem->getall), " of ", $sem->stat->nsems, "\n"; $sem->remove;
my $msg = IPC::Msg->new(IPC_PRIVATE, $mode) or die "msgget: $!";
$msg->snd(5, "hello"); $msg->snd(4, "world");
my $text; my $type = $msg->rcv($text, 256, -4, IPC_NOWAIT);
print "$type $text, left: ", $msg->stat->qnum, "\n"; $msg->remove;
my $shm = IPC::SharedMem->new(IPC_PRIVATE, 8, $mode) or die "shmget: $!";
$shm->write(pack("A4", "abcd"), 2, 2); print $shm->read(2, 2), "\n"; $shm->remove;
`;

const postgres = [
  'export PATH=/usr/lib/postgresql/15/bin:$PATH HOME=$PWD; chown nobody .',
  'cat > go <<"END"',
  'initdb -D d -A trust >/dev/null 2>&1 || echo initdb failed',
  "printf \"shared_memory_type=sysv\\ndynamic_shared_memory_type=sysv\\nunix_socket_directories='$PWD'\\nlisten_addresses=''\\n\" >> d/postgresql.conf",
  'pg_ctl -D d -w -l log start >/dev/null || cat log',
  'ipcs -m | grep -c nobody',
  'psql -h "$PWD" -d postgres -Atc "create table t as select generate_series(1,1000) i; select sum(i) from t;"',
  'pg_ctl -D d -m fast stop >/dev/null; ipcs -m | grep -c nobody',
  'END',
  'su nobody -s /bin/bash -c "bash ./go"',
].join('\n');

describe('System V IPC', () => {
  program(
    'ipcmk ipcs ipcrm',
    apart(
      'ipcmk -S 3 -p 0640; ipcmk -Q; ipcmk -M 5000; ipcs | sed s/0x[0-9a-f]*/KEY/; ipcs -l; ipcs -u; ipcs -s -i 0 | grep -v time; ipcs -q -i 0 | grep mode; ipcrm -q 0; ipcrm -a; ipcs; ipcrm -q 0',
    ),
    { needs: ['unshare', 'ipcmk'], normalize: (text) => text.replaceAll(/ +$/gm, '') },
  );
  program('perl', apart(`cat > a.pl <<"END"\n${perl}END\nperl a.pl`), {
    needs: ['unshare', 'perl'],
  });
  program('PostgreSQL in System V shared memory', apart(postgres), {
    needs: ['unshare', 'su', '/usr/lib/postgresql/15/bin/initdb'],
    seconds: 120,
  });
});
