import { fail, MillraceError, sha256 } from '#core';
import { pack, unpackBytes, unpackDoubles, unpackFloats, unpackIntegers, unpackWords } from './base64.ts';
import type { Encoder } from './encode.ts';
import type { Design } from './linear/design.ts';
import type { Linear } from './linear/linear.ts';
import type { Report } from './report.ts';
import type { Forest } from './trees/forest.ts';

/**
 * How scores become answers: as they are, exp, sigmoid (one score, two classes), softmax (a score for each class) or share: the scores of
 * a forest are the classes' shares (one, the second's, of two classes); of more they are grown apart, so they are divided by their sum.
 */
export type Link = 'identity' | 'exp' | 'sigmoid' | 'softmax' | 'share';

/** The learned part of a model: plain data, numbers packed as base64 of little-endian bytes. */
export type Learned =
  | { readonly kind: 'constant'; readonly link: Link; readonly scores: readonly number[] }
  | { readonly kind: 'trees'; readonly link: Link; readonly forest: PackedForest }
  | {
      readonly kind: 'linear';
      readonly link: Link;
      readonly design: Design;
      readonly outputs: number;
      readonly intercepts: readonly number[];
      /** Packed floats, [width × outputs]. */
      readonly weights: string;
    }
  /** The weighted mean of the members' answers (probabilities or values). */
  | { readonly kind: 'blend'; readonly members: readonly { readonly weight: number; readonly learned: Learned }[] };

export type PackedForest = { readonly outputs: number } & { readonly [Field in Exclude<keyof Forest, 'outputs'>]: string };

/** A trained model: JSON as it is, readable by any version that knows its `version`, without the data or the code that made it. */
export interface Model {
  readonly format: 'millrace-model';
  /** 2 where a link is `share`, which readers of version 1 don't know. */
  readonly version: 1 | 2;
  readonly task: 'regression' | 'classification';
  readonly target: string;
  /** The target column's kind: predicted labels come back as it. */
  readonly targetKind: 'number' | 'text';
  /** Labels in the order of their probabilities; null for regression. */
  readonly classes: readonly string[] | null;
  readonly encoders: readonly Encoder[];
  readonly learned: Learned;
  /** What is known of how it was made; not part of the hash, since it holds times. */
  readonly report: Report | null;
  /** SHA-256 of everything above but the report. Equal hashes are equal models. */
  readonly hash: string;
}

/** The model with its hash. */
export function sealModel(parts: Omit<Model, 'format' | 'version' | 'hash'>): Model {
  const unsealed = { format: 'millrace-model', version: hasShares(parts.learned) ? 2 : 1, ...parts } as const;
  return { ...unsealed, hash: hashOf(unsealed) };
}

function hasShares(learned: Learned): boolean {
  return learned.kind === 'blend' ? learned.members.some((member) => hasShares(member.learned)) : learned.link === 'share';
}

function hashOf(model: Omit<Model, 'hash'>): string {
  const { task, target, targetKind, classes, encoders, learned } = model;
  return sha256(canonical({ task, target, targetKind, classes, encoders, learned }));
}

/** JSON with keys in order, so that a store that reorders keys changes nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, v) =>
    v !== null && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  );
}

/**
 * The value as a model, or MODEL_INVALID: wrong format or version, a hash that does not fit (changed or cut), or a structure that
 * could not be walked safely. Checks every tree: children come after their parent, features and sets exist.
 */
export function checkModel(value: unknown): Model {
  const model = value as Model;
  if (typeof value !== 'object' || value === null || model.format !== 'millrace-model')
    fail('MODEL_INVALID', { problem: 'it does not say "millrace-model"' });
  if (model.version !== 1 && model.version !== 2)
    fail('MODEL_INVALID', { problem: `its version ${String(model.version)} is not known here` });
  if (typeof model.hash !== 'string' || hashOf(model) !== model.hash)
    fail('MODEL_INVALID', { problem: 'its contents do not fit its hash' });
  try {
    checkLearned(model.learned, model);
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    fail('MODEL_INVALID', { problem: 'its parts can not be read' }, thrown);
  }
  return model;
}

function demand(holds: boolean, problem: string): void {
  if (!holds) fail('MODEL_INVALID', { problem });
}

function checkLearned(learned: Learned, model: Model): void {
  demand(Array.isArray(model.encoders), 'it has no encoders');
  const classes = model.classes?.length ?? 1;
  switch (learned.kind) {
    case 'constant':
      demand(outputsFit(learned.scores.length, learned.link, classes), 'its constant does not fit its classes');
      break;
    case 'trees':
      demand(outputsFit(learned.forest.outputs, learned.link, classes), 'its trees do not fit its classes');
      checkForest(unpackForest(learned.forest));
      break;
    case 'linear':
      demand(outputsFit(learned.outputs, learned.link, classes), 'its weights do not fit its classes');
      demand(unpackFloats(learned.weights).length === learned.design.width * learned.outputs, 'its weights are cut');
      demand(learned.intercepts.length === learned.outputs, 'its intercepts are cut');
      break;
    case 'blend':
      demand(learned.members.length > 0, 'its blend is empty');
      for (const member of learned.members) checkLearned(member.learned, model);
      break;
    default:
      demand(false, 'its kind of learner is not known here');
  }
}

function outputsFit(outputs: number, link: Link, classes: number): boolean {
  switch (link) {
    case 'softmax':
      return outputs === classes;
    case 'share':
      return classes > 1 && outputs === (classes === 2 ? 1 : classes);
    case 'sigmoid':
      return outputs === 1 && classes === 2;
    default:
      return outputs === 1;
  }
}

function checkForest(forest: Forest): void {
  const nodes = forest.feature.length;
  const lengths = [forest.threshold, forest.missingLeft, forest.left, forest.gain, forest.cover].map((a) => a.length);
  demand(lengths.every((l) => l === nodes) && forest.base.length === forest.outputs, 'its trees are cut');
  demand(
    forest.roots.every((root) => root >= 0 && root < nodes),
    'a tree has no root',
  );
  for (let n = 0; n < nodes; n++) {
    const f = forest.feature[n]!;
    if (f < 0) continue;
    demand(f < forest.categorical.length && forest.left[n]! > n && forest.left[n]! + 1 < nodes, 'a tree has a wrong branch');
    if (forest.categorical[f] === 1)
      demand(forest.threshold[n]! >= 0 && forest.threshold[n]! + 8 <= forest.sets.length, 'a tree has a wrong set');
  }
}

export function packForest(forest: Forest): PackedForest {
  const { outputs, ...arrays } = forest;
  const packed = Object.fromEntries(Object.entries(arrays).map(([field, values]) => [field, pack(values)]));
  return { outputs, ...packed } as PackedForest;
}

export function unpackForest(packed: PackedForest): Forest {
  return {
    outputs: packed.outputs,
    base: unpackDoubles(packed.base),
    categorical: unpackBytes(packed.categorical),
    roots: unpackIntegers(packed.roots),
    feature: unpackIntegers(packed.feature),
    threshold: unpackDoubles(packed.threshold),
    missingLeft: unpackBytes(packed.missingLeft),
    left: unpackIntegers(packed.left),
    gain: unpackDoubles(packed.gain),
    cover: unpackDoubles(packed.cover),
    sets: unpackWords(packed.sets),
  };
}

export function packLinear(model: Linear, link: Link): Learned {
  const { design, outputs, intercepts, weights } = model;
  return { kind: 'linear', link, design, outputs, intercepts: [...intercepts], weights: pack(weights) };
}

export function unpackLinear(learned: Learned & { kind: 'linear' }): Linear {
  const { design, outputs, intercepts, weights } = learned;
  return { design, outputs, intercepts: Float64Array.from(intercepts), weights: unpackFloats(weights) };
}
