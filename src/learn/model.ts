import { sha256 } from '#core';
import { pack, unpackBytes, unpackDoubles, unpackFloats, unpackIntegers, unpackWords } from './base64.ts';
import { type Encoder, readsClock } from './encode.ts';
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
  /** 2 where a link is `share`, which readers of version 1 don't know; 3 where a time is read by a clock. */
  readonly version: 1 | 2 | 3;
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
  const version = readsClock(parts.encoders) ? 3 : hasShares(parts.learned) ? 2 : 1;
  const unsealed = { format: 'millrace-model', version, ...parts } as const;
  return { ...unsealed, hash: hashOf(unsealed) };
}

function hasShares(learned: Learned): boolean {
  return learned.kind === 'blend' ? learned.members.some((member) => hasShares(member.learned)) : learned.link === 'share';
}

export function hashOf(model: Omit<Model, 'hash'>): string {
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
