/** What the warehouse child can do with models: train in a child of its own, prove, place, open and remove files. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModelFile, Trained, Workshop } from '#analyze';
import { type Bytes, errorFromBody, MillraceError } from '#core';
import { residentBytes } from '#run';
import type { FromTrainer, TrainerOrder } from '../trainer.ts';
import { columnAnswerer } from './answers.ts';
import { exported, onnxWriter, placeBelow, writeBelow } from './exports.ts';
import { withFeatures } from './features.ts';
import { copyModel, modelPath, modelsFolder, moveIntoPlace, readModelFile, removeModel } from './file.ts';
import { compareGolden, replayRows } from './golden.ts';
import { replayScript } from './script.ts';
import { findVersion, openShelf } from './shelf.ts';

const ASIDE = '.training-';
const MEMORY_WATCH = 50;

interface WorkshopInput {
  readonly dataPath: string;
  readonly memory: Bytes;
  readonly files: string;
  readonly timeZone: string;
}

/** `memory` is what one training may use, `timeZone` whose days and hours those of instants are; `files` the workspace's folder of models that come and go. Files of trainings that were killed are removed. */
export function openWorkshop({ dataPath, memory, files, timeZone }: WorkshopInput): Workshop {
  const folder = modelsFolder(dataPath);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) if (name.startsWith(ASIDE)) rmSync(join(folder, name), { recursive: true });
  const shelf = openShelf(dataPath, (file) => file);
  const answerers = new WeakMap<ModelFile, ReturnType<typeof columnAnswerer>>();
  let count = 0;
  return {
    train(order, onProgress, stop, cancel) {
      const path = join(folder, `${ASIDE}${process.pid}-${++count}`);
      const brought = order.brought && { ...order.brought, place: placeBelow(files, order.brought.path) };
      return runTrainer({ ...order, brought, path, memory, timeZone }, onProgress, stop, cancel);
    },
    async prove(file, inSql) {
      compareGolden(file, 'in SQL', inSql);
      replayRows(file);
      const { fitsOnnx, provenOnnx } = await onnxWriter();
      if (fitsOnnx(file)) provenOnnx(file);
      if (file.transform === null && file.model.format === 'millrace-model') await replayScript(file);
    },
    find: findVersion,
    place: ({ path }, name, version) => moveIntoPlace(path, modelPath(dataPath, name, version)),
    open: (name, version, hash) => shelf.get(name, version, hash),
    reopen: (name, version, hash) => readModelFile(modelPath(dataPath, name, version), { name, version, hash }),
    answerer(file) {
      const known = answerers.get(file) ?? columnAnswerer(file);
      answerers.set(file, known);
      return known;
    },
    features: (file, columns) => withFeatures(file.features ?? [], columns),
    export: async (file, format, path, overwrite) => writeBelow(files, path, await exported(file, format), overwrite),
    copy: (from, to) => copyModel(dataPath, from, to),
    remove: (name) => removeModel(dataPath, name),
    discard: ({ path }) => rmSync(path, { force: true }),
  };
}

function runTrainer(
  order: TrainerOrder,
  onProgress: (progress: (FromTrainer & { kind: 'progress' })['progress']) => void,
  stop: AbortSignal,
  cancel: AbortSignal,
): Promise<Trained> {
  const child = fork(fileURLToPath(new URL('../trainer.ts', import.meta.url)), [JSON.stringify(order)], {
    execArgv: [
      ...process.execArgv,
      '--max-semi-space-size=16',
      `--max-old-space-size=${Math.max(64, Math.floor(order.memory / 1_000_000))}`,
    ],
    // Large arrays come and go in learning. glibc, left alone, soon takes them from its heap and keeps what is freed: a share of memory too small.
    env: { ...process.env, UV_THREADPOOL_SIZE: '4', MALLOC_MMAP_THRESHOLD_: '131072' },
  });
  const tellStop = () => child.connected && child.send('stop');
  const kill = () => child.kill('SIGKILL');
  stop.addEventListener('abort', tellStop);
  cancel.addEventListener('abort', kill);
  if (cancel.aborted) kill();
  let over = false;
  const watch = setInterval(() => {
    if ((residentBytes(child.pid!) ?? 0) <= order.memory) return;
    over = true;
    kill();
  }, MEMORY_WATCH);
  return ended(child, onProgress)
    .then((last) => {
      if (last.kind === 'failed') throw errorFromBody(last.error);
      const file = readModelFile(order.path, { name: order.name, version: 0, hash: last.hash });
      return { path: order.path, hash: last.hash, bytes: last.bytes, file };
    })
    .catch((thrown: unknown) => {
      rmSync(order.path, { force: true });
      if (cancel.aborted) throw new MillraceError('MODEL_STOPPED', { model: order.name }, thrown);
      if (over) throw new MillraceError('MODEL_MEMORY', { limit: order.memory }, thrown);
      throw thrown;
    })
    .finally(() => {
      clearInterval(watch);
      stop.removeEventListener('abort', tellStop);
      cancel.removeEventListener('abort', kill);
    });
}

type Last = Exclude<FromTrainer, { kind: 'progress' }>;

function ended(child: ChildProcess, onProgress: (progress: (FromTrainer & { kind: 'progress' })['progress']) => void): Promise<Last> {
  return new Promise((resolve, reject) => {
    let last: Last | null = null;
    child.on('message', (message: FromTrainer) => {
      if (message.kind === 'progress') onProgress(message.progress);
      else last = message;
    });
    child.once('error', (cause) => reject(new MillraceError('MODEL_TRAINER', { reason: cause.message }, cause)));
    child.once('exit', (code, signal) => {
      if (last !== null) resolve(last);
      else reject(new MillraceError('MODEL_TRAINER', { reason: signal ?? `code ${code}` }));
    });
  });
}
