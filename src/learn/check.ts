import { fail, MillraceError } from '#core';
import { unpackDoubles, unpackFloats, unpackIntegers } from './base64.ts';
import { type Encoder, shapeOf } from './encode.ts';
import { type Design, widthOf } from './linear/design.ts';
import { hashOf, type Learned, type Link, type Model, unpackForest } from './model.ts';
import type { Forest } from './trees/forest.ts';

/**
 * The value as a model, or MODEL_INVALID: wrong format or version, a hash that does not fit (changed or cut), or a structure that
 * could not be walked safely or would give answers that are none: every tree's children come after their parent, its features and sets exist, learners
 * take the features that the encoders make, and all numbers are numbers. A hash can be made anew by whoever changes a file.
 */
export function checkModel(value: unknown): Model {
  const model = value as Model;
  if (typeof value !== 'object' || value === null || model.format !== 'millrace-model')
    fail('MODEL_INVALID', { problem: 'it does not say "millrace-model"' });
  if (![1, 2, 3].includes(model.version)) fail('MODEL_INVALID', { problem: `its version ${String(model.version)} is not known here` });
  if (typeof model.hash !== 'string' || hashOf(model) !== model.hash)
    fail('MODEL_INVALID', { problem: 'its contents do not fit its hash' });
  try {
    checkTask(model);
    demand(Array.isArray(model.encoders), 'it has no encoders');
    for (const encoder of model.encoders) checkEncoder(encoder);
    demand(new Set(model.encoders.map(({ column }) => column)).size === model.encoders.length, 'a column is encoded twice');
    checkLearned(model.learned, model.classes?.length ?? 1, shapeOf(model.encoders));
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    fail('MODEL_INVALID', { problem: 'its parts can not be read' }, thrown);
  }
  return model;
}

function demand(holds: boolean, problem: string): void {
  if (!holds) fail('MODEL_INVALID', { problem });
}

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((each) => typeof each === 'string');
const allFinite = (values: ArrayLike<unknown>): boolean => Array.prototype.every.call(values, Number.isFinite);

function checkTask({ task, classes, target, targetKind }: Model): void {
  const named = typeof target === 'string' && (targetKind === 'number' || targetKind === 'text');
  const labelled = isTexts(classes) && classes.length > 1 && new Set(classes).size === classes.length;
  demand(named && (task === 'regression' ? classes === null : task === 'classification' && labelled), 'its classes do not fit its task');
}

function checkEncoder(encoder: Encoder): void {
  demand(typeof encoder.column === 'string', 'an encoder has no column');
  const of = `"${encoder.column}"`;
  switch (encoder.kind) {
    case 'number':
    case 'text':
      return;
    case 'time':
      demand(typeof encoder.hours === 'boolean', `${of} does not say whether it has hours`);
      demand(encoder.clock === undefined || isClock(encoder.clock), `the clock of ${of} is none`);
      return;
    case 'category':
      demand(isTexts(encoder.levels), `the levels of ${of} are no texts`);
      return;
    case 'statistics': {
      const { levels, outputs } = encoder;
      demand(isTexts(levels) && Number.isInteger(outputs) && outputs > 0, `the levels of ${of} are no texts`);
      const means = unpackDoubles(encoder.means);
      demand(means.length === (levels.length + 1) * outputs && allFinite(means), `the means of ${of} do not fit its levels`);
      return;
    }
    default:
      demand(false, `the encoder of ${of} is not known here`);
  }
}

type Shape = ReturnType<typeof shapeOf>;

function checkLearned(learned: Learned, classes: number, shape: Shape): void {
  switch (learned.kind) {
    case 'constant':
      demand(outputsFit(learned.scores.length, learned.link, classes), 'its constant does not fit its classes');
      demand(allFinite(learned.scores), 'its constant is no number');
      break;
    case 'trees':
      demand(outputsFit(learned.forest.outputs, learned.link, classes), 'its trees do not fit its classes');
      checkForest(unpackForest(learned.forest), shape);
      break;
    case 'linear':
      demand(outputsFit(learned.outputs, learned.link, classes), 'its weights do not fit its classes');
      checkDesign(learned.design, shape);
      demand(isFull(unpackFloats(learned.weights), learned.design.width * learned.outputs), 'its weights are cut or no numbers');
      demand(isFull(learned.intercepts, learned.outputs), 'its intercepts are cut or no numbers');
      break;
    case 'blend': {
      const weights = learned.members.map(({ weight }) => weight);
      demand(weights.length > 0, 'its blend is empty');
      demand(allFinite(weights) && weights.every((weight) => weight >= 0), 'a weight of its blend is none');
      demand(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-6, 'the weights of its blend do not add up to 1');
      for (const member of learned.members) checkLearned(member.learned, classes, shape);
      break;
    }
    default:
      demand(false, 'its kind of learner is not known here');
  }
}

/** At least one entry, of whole milliseconds, in order; no clock is further from UTC than a day. */
function isClock(clock: unknown): boolean {
  if (!Array.isArray(clock) || clock.length === 0) return false;
  const isEntry = (entry: unknown) =>
    Array.isArray(entry) && entry.length === 2 && entry.every(Number.isSafeInteger) && Math.abs(entry[1]) < 86_400_000;
  return clock.every((entry, at) => isEntry(entry) && (at === 0 || entry[0] > clock[at - 1][0]));
}

const isFull = (values: ArrayLike<number>, length: number): boolean => values.length === length && allFinite(values);

function outputsFit(outputs: number, link: Link, classes: number): boolean {
  switch (link) {
    case 'softmax':
      return classes > 1 && outputs === classes;
    case 'share':
      return classes > 1 && outputs === (classes === 2 ? 1 : classes);
    case 'sigmoid':
      return outputs === 1 && classes === 2;
    case 'identity':
    case 'exp':
      return outputs === 1 && classes === 1;
    default:
      return false;
  }
}

function checkDesign({ width, parts, texts }: Design, shape: Shape): void {
  const fits = parts.every((part, at) => {
    const { kind, levels, cycle } = shape.features[at] ?? { kind: 'numeric', levels: -1, cycle: null };
    if (part.kind === 'levels') return part.levels === (kind === 'category' ? levels : cycle);
    const { mean, deviation, low, high, missing } = part;
    return (
      part.kind === 'number' &&
      kind === 'numeric' &&
      allFinite([mean, deviation, low, high]) &&
      deviation > 0 &&
      typeof missing === 'boolean'
    );
  });
  demand(fits && parts.length === shape.features.length && texts.length === shape.texts, 'its weights do not fit its columns');
  for (const { buckets, weights } of texts)
    demand(isFull(unpackFloats(weights), unpackIntegers(buckets).length), 'its words are cut or no numbers');
  demand([...parts, ...texts].reduce((sum, part) => sum + widthOf(part), 0) === width, 'its weights do not fit its columns');
}

function checkForest(forest: Forest, { features }: Shape): void {
  const nodes = forest.feature.length;
  const lengths = [forest.threshold, forest.missingLeft, forest.left, forest.gain, forest.cover].map((a) => a.length);
  demand(lengths.every((l) => l === nodes) && isFull(forest.base, forest.outputs), 'its trees are cut');
  demand(
    forest.categorical.length === features.length && features.every(({ kind }, f) => forest.categorical[f] === Number(kind === 'category')),
    'its trees do not fit its columns',
  );
  demand(
    forest.roots.every((root) => root >= 0 && root < nodes),
    'a tree has no root',
  );
  demand(allFinite(forest.gain) && allFinite(forest.cover), 'a tree has a weight that is no number');
  for (let n = 0; n < nodes; n++) {
    const f = forest.feature[n]!;
    const threshold = forest.threshold[n]!;
    if (f < 0) {
      demand(Number.isFinite(threshold), 'a leaf is no number');
      continue;
    }
    demand(f < features.length && forest.left[n]! > n && forest.left[n]! + 1 < nodes, 'a tree has a wrong branch');
    if (forest.categorical[f] === 1)
      demand(Number.isInteger(threshold) && threshold >= 0 && threshold + 8 <= forest.sets.length, 'a tree has a wrong set');
    // Where only missing values go right it is infinite.
    else demand(!Number.isNaN(threshold), 'a tree splits by no number');
  }
}
