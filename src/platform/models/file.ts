/** Model files on disk: written aside, synced and renamed; read with their hash checked. */
import { createHash } from 'node:crypto';
import { closeSync, cpSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ModelFile } from '#analyze';
import { asMillraceError, fail } from '#core';
import { checkClusters, checkModel } from '#learn';
import { broughtAnswerer } from './onnx/brought.ts';

export const modelsFolder = (dataPath: string): string => join(dataPath, 'models');

export const modelPath = (dataPath: string, name: string, version: number): string => join(modelsFolder(dataPath), name, `${version}.json`);

/** Writes the file where it has no name of a model yet, synced. */
export function writeAside(path: string, file: ModelFile): { hash: string; bytes: number } {
  const bytes = Buffer.from(JSON.stringify(file));
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openSync(path, 'wx', 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return { hash: sha256(bytes), bytes: bytes.length };
}

/** Moves a written file to its place; it is there after a power cut once this returns. */
export function moveIntoPlace(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(from, to);
  for (const folder of [dirname(to), dirname(dirname(to))]) {
    const fd = openSync(folder, 'r');
    fsyncSync(fd);
    closeSync(fd);
  }
}

export function removeModel(dataPath: string, name: string): void {
  rmSync(join(modelsFolder(dataPath), name), { recursive: true, force: true });
}

/** What a copy that was cut off left under the new name is written over. */
export function copyModel(dataPath: string, from: string, to: string): void {
  const [source, target] = [join(modelsFolder(dataPath), from), join(modelsFolder(dataPath), to)];
  rmSync(target, { recursive: true, force: true });
  cpSync(source, target, { recursive: true });
  const fd = openSync(modelsFolder(dataPath), 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** The file of that hash, its model checked, by the name that it has now: a model that was renamed has its old one in its file. Errors: MODEL_FILE. */
export function readModelFile(path: string, of: { name: string; version: number; hash: string }): ModelFile {
  const refuse = (problem: string, cause?: unknown): never => fail('MODEL_FILE', { model: of.name, version: of.version, problem }, cause);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    return refuse(`can't be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, cause);
  }
  if (sha256(bytes) !== of.hash) refuse('was changed or cut: its SHA-256 is not the one that was recorded');
  const file = JSON.parse(bytes.toString('utf8')) as ModelFile;
  if (file.format !== 'millrace-model-file' || file.version !== 1) refuse('is of another program’s version');
  try {
    if (file.model.format === 'onnx') broughtAnswerer(file.model);
    else if (file.model.format === 'clusters') checkClusters(file.model.clusters);
    else checkModel(file.model);
  } catch (thrown) {
    refuse(`has no sound model: ${asMillraceError(thrown).message}`, thrown);
  }
  return { ...file, name: of.name };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
