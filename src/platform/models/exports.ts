/** Models as files for others: ONNX, JavaScript and our own JSON, each proven on the golden rows first; and the folder that they go to. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import type { ExportFormat, ModelFile } from '#analyze';
import { type Bytes, fail } from '#core';
import { replayScript, scriptOf } from './script.ts';

const LARGEST_ONNX: Bytes = 64 * 1024 * 1024;

/** What writes ONNX is read when it is first asked for. */
export const onnxWriter = () => import('./onnx/proven.ts');

/** The file in that format. Errors: MODEL_EXPORT, MODEL_TRANSFORM, MODEL_GOLDEN. */
export async function exported(file: ModelFile, format: ExportFormat): Promise<Buffer> {
  switch (format) {
    case 'json':
      return Buffer.from(JSON.stringify(file));
    case 'onnx':
      return (await onnxWriter()).provenOnnx(file);
    case 'js': {
      if (file.transform !== null) fail('MODEL_TRANSFORM', { model: file.name });
      const script = scriptOf(file);
      await replayScript(file, script);
      return Buffer.from(script);
    }
  }
}

/** A path of plain names below the folder, whatever links lie on the way. MODEL_PATH. */
export function placeBelow(folder: string, path: string): string {
  const refuse = (problem: string, cause?: unknown): never => fail('MODEL_PATH', { path: path.slice(0, 200), problem }, cause);
  const parts = path.split('/');
  if (parts.length > 8 || parts.some((part) => !/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(part)))
    refuse('it is not a relative path of letters, digits, ".", "_" and "-"');
  const place = join(folder, ...parts);
  mkdirSync(folder, { recursive: true });
  let above = dirname(place);
  for (;;) {
    try {
      const real = realpathSync(above);
      const root = realpathSync(folder);
      if (real !== root && !real.startsWith(root + sep)) refuse('it leads out of the folder');
      return place;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
      above = dirname(above);
    }
  }
}

/** Writes all or nothing: under another name first, renamed when it is synced. MODEL_PATH where something is there and may not be replaced. */
export function writeBelow(folder: string, path: string, bytes: Uint8Array, overwrite: boolean): { path: string; bytes: number } {
  const place = placeBelow(folder, path);
  mkdirSync(dirname(place), { recursive: true });
  const aside = `${place}.${process.pid}.part`;
  try {
    // Taken first, so that of two who write at once one is refused.
    if (!overwrite) closeSync(openSync(place, 'wx'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    fail('MODEL_PATH', { path, problem: 'a file is there already; say overwrite = TRUE to replace it' }, cause);
  }
  const fd = openSync(aside, 'w');
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } catch (thrown) {
    rmSync(aside, { force: true });
    if (!overwrite) rmSync(place, { force: true });
    throw thrown;
  } finally {
    closeSync(fd);
  }
  renameSync(aside, place);
  return { path: `models/${path}`, bytes: bytes.length };
}

/** The bytes of a file below the folder: a plain file of at most 64 MB. MODEL_PATH. */
export function readBelow(place: string, path: string): Buffer {
  const refuse = (problem: string, cause?: unknown): never => fail('MODEL_PATH', { path, problem }, cause);
  let fd: number;
  try {
    fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    return refuse(`it can't be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, cause);
  }
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile()) refuse('it is no plain file');
    if (facts.size > LARGEST_ONNX) refuse(`it has ${facts.size} bytes; at most ${LARGEST_ONNX} are read`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
