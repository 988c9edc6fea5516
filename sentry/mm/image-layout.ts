// SPDX-License-Identifier: Apache-2.0
/** Where exec put things: /proc/PID/{cmdline,environ,stat}, prctl(PR_SET_MM). */
export interface ImageLayout {
  startCode: number;
  endCode: number;
  startData: number;
  endData: number;
  startBrk: number;
  startStack: number;
  argStart: number;
  argEnd: number;
  envStart: number;
  envEnd: number;
  /** The content of /proc/PID/auxv. */
  auxv: Uint8Array;
}

/** The layout of an address space that no program was loaded into. */
export function noImage(): ImageLayout {
  return {
    startCode: 0,
    endCode: 0,
    startData: 0,
    endData: 0,
    startBrk: 0,
    startStack: 0,
    argStart: 0,
    argEnd: 0,
    envStart: 0,
    envEnd: 0,
    auxv: new Uint8Array(0),
  };
}
