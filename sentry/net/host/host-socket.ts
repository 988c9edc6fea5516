// A standard stream of the guest that is a socket on the host (a Node parent's pipes are): the guest sees a
// connected, unnamed Unix stream socket. Bytes pass; descriptors, names and shutdown do not.
import { EOPNOTSUPP, type Result, type SysResult } from '../../../abi/errno.ts';
import { AF_UNIX, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Clock } from '../../base/clock.ts';
import type { WaitQueue } from '../../base/wait.ts';
import type { HostDescriptor } from '../../fs/host/host-descriptor.ts';
import { credentialsOf } from '../../kernel/credentials.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type SendControl, Socket } from '../socket.ts';

export class HostSocket extends Socket {
  readonly domain: number = AF_UNIX;
  readonly type: number = SOCK_STREAM;
  override readonly queue: WaitQueue;
  readonly #descriptor: HostDescriptor;

  constructor(descriptor: HostDescriptor, clock: Clock) {
    super(0, 0, credentialsOf(0, 0, []), clock);
    this.#descriptor = descriptor;
    this.queue = descriptor.queue;
    descriptor.opened();
  }

  override close(): void {
    this.#descriptor.closed();
    super.close();
  }

  override get raisesSigpipe(): boolean {
    return true;
  }

  override poll(): number {
    return this.#descriptor.poll();
  }

  override receive(sink: Sink, flags: number): SysResult {
    // MSG_DONTWAIT and the like are the caller's; MSG_PEEK and MSG_OOB would need the host's help.
    return (flags & 3) === 0 ? this.#descriptor.read(sink) : EOPNOTSUPP;
  }

  override send(
    source: Source,
    _flags: number,
    _address: Uint8Array | undefined,
    control: SendControl,
  ): SysResult {
    return control.files.length === 0 ? this.#descriptor.write(source) : EOPNOTSUPP;
  }

  override localAddress(): Result<Uint8Array> {
    return Uint8Array.of(AF_UNIX, 0);
  }

  override peerAddress(): Result<Uint8Array> {
    return Uint8Array.of(AF_UNIX, 0);
  }
}
