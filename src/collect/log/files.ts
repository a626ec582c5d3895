import * as fs from 'node:fs';

/** The file calls that the log makes, as a parameter, so that a test can fail, tear or drop any of them. */
export interface Files {
  mkdirSync(path: string, options: { recursive: true; mode: number }): unknown;
  readdirSync(path: string): string[];
  openSync(path: string, flags: string, mode?: number): number;
  closeSync(fd: number): void;
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number;
  write(
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: (cause: Error | null, written: number) => void,
  ): void;
  fdatasync(fd: number, done: (cause: Error | null) => void): void;
  fsyncSync(fd: number): void;
  ftruncateSync(fd: number, length: number): void;
  fstatSync(fd: number): { size: number };
  existsSync(path: string): boolean;
}

export const realFiles: Files = fs;

/** Makes the names in a folder durable (a file whose folder entry was not synced can vanish with a power cut). */
export function syncFolder(files: Files, path: string): void {
  const fd = files.openSync(path, 'r');
  try {
    files.fsyncSync(fd);
  } finally {
    files.closeSync(fd);
  }
}
