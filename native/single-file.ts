// What the main script of the one-file build (runts/single-file/main.ts) leaves for the bundle that
// it starts. In the source tree and with bundles in build/ there is none of it: every part is a
// file then.
export interface SingleFile {
  /** A part by its name in tools/single-file.ts. Its bytes lie in the mapped executable: for reading only. */
  part(name: string): Uint8Array;
  loadAddon(module: { exports: unknown }): void;
}

export const singleFile: SingleFile | undefined = (globalThis as { runtsSingleFile?: SingleFile })
  .runtsSingleFile;
