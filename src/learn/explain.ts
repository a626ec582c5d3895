import { fail } from '#core';
import type { ColumnData } from './columns.ts';
import { encode } from './encode.ts';
import { exp, sigmoid } from './exact.ts';
import { designWriter, widthOf } from './linear/design.ts';
import type { Linear } from './linear/linear.ts';
import { type Learned, type Link, type Model, unpackForest, unpackLinear } from './model.ts';
import { linked } from './predict.ts';
import type { Forest } from './trees/forest.ts';
import { expectedScores, shapAdder } from './trees/shap.ts';

/** What moved one score or answer of each row: it is `base` plus the row's values in all columns. */
export interface Explanation {
  /** `score`: before the link, so log-odds, the logarithm of a count, or the value itself. `answer`: a probability or the value. */
  readonly scale: 'score' | 'answer';
  /** The class whose score it is; null for regression. With two classes there is one score, the second's. */
  readonly of: string | null;
  /** The score of an average row. */
  readonly base: number;
  /** One for each column that the model uses: [rows]. */
  readonly columns: readonly ColumnData[];
}

/**
 * What each column adds to a score, for models of trees and linear ones, and to an answer, for blends of them (MODEL_EXPLAIN for others); the
 * features of one column are added up. Errors as `predict`. Trees: SHAP values; cost a row: trees × leaves × depth². Linear models: weight
 * times value, from a base of a row with mean numbers and no categories. Blends: the weighted sum of the members' explanations, each carried
 * from its scores to its answers (`carried`): exact where scores are answers, and adding up to the answer always.
 */
export function explain(model: Model, columns: readonly ColumnData[]): Explanation[] {
  return explainer(model)(columns);
}

/** `explain` of rows that come by and by; building it unpacks the model. */
export type Explainer = (columns: readonly ColumnData[]) => Explanation[];

export function explainer(model: Model): Explainer {
  const { learned } = model;
  if (learned.kind === 'trees') {
    const own = treesExplainer(model, learned);
    // Shares are answers but for their sum.
    return learned.link === 'share' ? (columns) => carried(model, own(columns), learned.link) : own;
  }
  if (learned.kind === 'linear') return linearExplainer(model, learned);
  if (learned.kind === 'blend') return blendExplainer(model, learned);
  return fail('MODEL_EXPLAIN', { kind: learned.kind });
}

/** About how many steps the explanation of a row takes in trees: leaves × depth², of all in it. */
export function explainCost({ learned }: Pick<Model, 'learned'>): number {
  if (learned.kind === 'blend') return learned.members.reduce((sum, { learned: member }) => sum + explainCost({ learned: member }), 0);
  if (learned.kind !== 'trees') return 0;
  const { feature, left } = unpackForest(learned.forest);
  const depth = new Int32Array(feature.length);
  let cost = 0;
  // Children come after their parent.
  feature.forEach((split, node) => {
    if (split < 0) cost += depth[node]! ** 2;
    else depth.fill(depth[node]! + 1, left[node]!, left[node]! + 2);
  });
  return cost;
}

function treesExplainer(model: Model, learned: Learned & { kind: 'trees' }): Explainer {
  const forest = unpackForest(learned.forest);
  const expected = expectedScores(forest);
  const addShapValues = shapAdder(forest);
  return (columns) => explainTrees(model, forest, expected, addShapValues, columns);
}

function explainTrees(
  model: Model,
  forest: Forest,
  expected: Float64Array,
  addShapValues: ReturnType<typeof shapAdder>,
  columns: readonly ColumnData[],
): Explanation[] {
  const { features, rows } = encode(model.encoders, columns);
  const names = [...new Set(features.map((f) => f.column))];
  const place = features.map((f) => names.indexOf(f.column));
  const values = Array.from({ length: forest.outputs }, () => names.map(() => new Float64Array(rows)));
  const row = new Float64Array(features.length);
  const shap = new Float64Array(forest.outputs * features.length);
  for (let i = 0; i < rows; i++) {
    for (let f = 0; f < features.length; f++) row[f] = features[f]!.values[i]!;
    shap.fill(0);
    addShapValues(row, shap);
    shap.forEach((value, at) => {
      const column = values[Math.floor(at / features.length)]![place[at % features.length]!]!;
      column[i] = column[i]! + value;
    });
  }
  return told(model, names, values, expected);
}

function linearExplainer(model: Model, learned: Learned & { kind: 'linear' }): Explainer {
  const linear = unpackLinear(learned);
  const write = designWriter(linear.design);
  return (columns) => explainLinear(model, linear, write, columns);
}

function explainLinear(
  model: Model,
  { design, outputs, intercepts, weights }: Linear,
  write: ReturnType<typeof designWriter>,
  columns: readonly ColumnData[],
): Explanation[] {
  const encoded = encode(model.encoders, columns);
  const sources = [...encoded.features, ...encoded.texts].map(({ column }) => column);
  const names = [...new Set(sources)];
  // Which of the names each of the design's columns belongs to.
  const place = Uint32Array.from(
    [...design.parts, ...design.texts].flatMap((part, f) => new Array<number>(widthOf(part)).fill(names.indexOf(sources[f]!))),
  );
  const table = write(encoded);
  const values = Array.from({ length: outputs }, () => names.map(() => new Float64Array(encoded.rows)));
  for (let i = 0; i < encoded.rows; i++)
    for (let p = table.starts[i]!; p < table.starts[i + 1]!; p++)
      for (let output = 0; output < outputs; output++)
        values[output]![place[table.columns[p]!]!]![i]! += table.values[p]! * weights[table.columns[p]! * outputs + output]!;
  return told(model, names, values, intercepts);
}

function blendExplainer(model: Model, blend: Learned & { kind: 'blend' }): Explainer {
  const members = blend.members.map(({ weight, learned }) => ({ weight, explain: memberExplainer(model, learned) }));
  return (columns) => explainBlend(model, members, columns);
}

function explainBlend(
  model: Model,
  members: readonly { readonly weight: number; readonly explain: Explainer }[],
  columns: readonly ColumnData[],
): Explanation[] {
  const width = model.classes?.length ?? 1;
  const rows = encode(model.encoders, columns).rows;
  const bases = new Float64Array(width === 2 ? 1 : width);
  const sums = Array.from(bases, () => new Map<string, Float64Array<ArrayBuffer>>());
  for (const { weight, explain } of members) {
    explain(columns).forEach(({ base, columns: moved }, output) => {
      bases[output] = bases[output]! + weight * base;
      for (const { name, values } of moved) {
        const sum = sums[output]!.get(name) ?? new Float64Array(rows);
        for (let i = 0; i < rows; i++) sum[i] = sum[i]! + weight * Number(values[i]);
        sums[output]!.set(name, sum);
      }
    });
  }
  const names = [...new Set(sums.flatMap((sum) => [...sum.keys()]))];
  const values = sums.map((sum) => names.map((name) => sum.get(name) ?? new Float64Array(rows)));
  return told(model, names, values, bases, 'answer');
}

/** What moved a member's answers: of the second class alone where there are two. */
function memberExplainer(model: Model, learned: Learned): Explainer {
  const width = model.classes?.length ?? 1;
  if (learned.kind === 'constant') {
    const answers = linked(Float64Array.from(learned.scores), learned.link, width);
    const shown = width === 2 ? answers.slice(1) : answers;
    const found = told(
      model,
      [],
      Array.from(shown, () => []),
      shown,
      'answer',
    );
    return () => found;
  }
  const own = explainer({ ...model, learned });
  return learned.kind === 'blend' || learned.link === 'share' ? own : (columns) => carried(model, own(columns), learned.link);
}

/**
 * Carries what moved the scores over to the answers, along the straight line from the scores of the base to those of the row (the path of
 * Aumann and Shapley 1974; integrated gradients, Sundararajan et al. 2017). Of one score that is each column's share of the way; what all
 * columns add is the answer less the base's, exactly. It is not the Shapley value of the probability, which would ask each member about each
 * subset of columns.
 */
function carried(model: Model, found: readonly Explanation[], link: Link): Explanation[] {
  const width = model.classes?.length ?? 1;
  const from = Float64Array.from(found, ({ base }) => base);
  const names = found[0]!.columns.map(({ name }) => name);
  const rows = names.length === 0 ? 0 : found[0]!.columns[0]!.values.length;
  const answers = linked(from, link, width);
  const outputs = width === 2 ? [1] : Array.from({ length: width }, (_, k) => k);
  const values = outputs.map(() => names.map(() => new Float64Array(rows)));
  const moved = found.map(({ columns }) => columns.map((column) => column.values as Float64Array));
  const to = new Float64Array(from.length);
  for (let i = 0; i < rows; i++) {
    for (let o = 0; o < to.length; o++) to[o] = moved[o]!.reduce((sum, column) => sum + column[i]!, from[o]!);
    const slopes = meanSlopes(from, to, link);
    outputs.forEach((k, at) => {
      // Of one score the second class is the answer.
      const slope = slopes[to.length === 1 ? 0 : k]!;
      names.forEach((_, c) => {
        let sum = 0;
        for (let o = 0; o < to.length; o++) sum += slope[o]! * moved[o]![c]![i]!;
        values[at]![c]![i] = sum;
      });
    });
  }
  return told(model, names, values, width === 2 ? answers.slice(1) : answers, 'answer');
}

/** Mean derivative of each answer by each score on the way, [answers][scores]; of one score the second class's. */
function meanSlopes(from: Float64Array, to: Float64Array, link: Link): number[][] {
  if (from.length > 1) return sharedSlopes(from, to, link);
  const [a, b] = [from[0]!, to[0]!];
  if (link === 'identity' || link === 'share') return [[1]];
  const answer = link === 'exp' ? exp : sigmoid;
  const slope = link === 'exp' ? exp(a) : sigmoid(a) * (1 - sigmoid(a));
  return [[Math.abs(b - a) < 1e-9 ? slope : (answer(b) - answer(a)) / (b - a)]];
}

/** Nodes and weights of Gauss and Legendre's rule on [-1, 1] (Abramowitz, Stegun 25.4.30, n = 8); each pair stands for ±node. */
const GAUSS = [
  [0.1834346424956498, 0.362683783378362],
  [0.525532409916329, 0.31370664587788727],
  [0.7966664774136267, 0.22238103445337448],
  [0.9602898564975363, 0.10122853629037626],
] as const;
/** A piece of the way on which no score moves further against another: the rule's error there is about 1e-13, since softmax has no pole within π, nor shares one before their sum is 0. */
const PIECE = 2;

/** Where the answers share one sum: softmax and share. */
function sharedSlopes(from: Float64Array, to: Float64Array, link: Link): number[][] {
  const way = to.map((score, o) => score - from[o]!);
  const pieces = Math.max(1, Math.ceil((Math.max(...way) - Math.min(...way)) / PIECE));
  const slopes = Array.from(from, () => new Array<number>(from.length).fill(0));
  const add = (at: number, weight: number): void => {
    const scores = from.map((score, o) => score + at * way[o]!);
    const p = linked(scores, link, from.length);
    const sum = scores.reduce((total, score) => total + score, 0);
    p.forEach((pk, k) => {
      p.forEach((po, o) => {
        const own = k === o ? 1 : 0;
        slopes[k]![o]! += weight * (link === 'softmax' ? pk * (own - po) : (own - pk) / sum);
      });
    });
  };
  for (let piece = 0; piece < pieces; piece++)
    for (const [node, weight] of GAUSS) for (const side of [-node, node]) add((piece + (1 + side) / 2) / pieces, weight / (2 * pieces));
  return slopes;
}

/** `values` is [outputs][names][rows]. */
function told(
  model: Model,
  names: readonly string[],
  values: readonly (readonly Float64Array<ArrayBuffer>[])[],
  base: ArrayLike<number>,
  scale: Explanation['scale'] = 'score',
): Explanation[] {
  return values.map((byColumn, output) => ({
    scale,
    of: model.classes === null ? null : (model.classes[values.length === 1 ? 1 : output] ?? null),
    base: base[output]!,
    columns: names.map((name, c) => ({ name, kind: 'number', values: byColumn[c]! })),
  }));
}
