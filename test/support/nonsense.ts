// What both sides of the Gofer's protocol are sent by their hostile tests.

/** Repeatable: mulberry32. */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Names that are entries below an attach point in the first row, and names that lead out or are none. */
export const names: readonly string[] = [
  ['file', 'a', 'b', 'out', 'root', 'new', 'x', 'y'],
  ['', '.', '..', '/', 'a/b', '../outside', 'out/secret', 'a/../../outside', '/etc/passwd'],
  ['\0', 'file\0', 'user.x', 'security.capability', 'user.runts.node', 'n'.repeat(300)],
].flat();
