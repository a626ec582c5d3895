/**
 * A model as an ONNX graph: encoders, trees or weights, and the link, in doubles throughout, so that a split goes the same way as here.
 * One input a column, [rows, 1]: numbers and times (epoch milliseconds) as double with NaN for missing, categories as string without
 * blanks around them and '' for missing. Outputs: `prediction`, or `label` and `probabilities` [rows, classes].
 */
import type { Cell, ModelFile } from '#analyze';
import { type Clock, fail } from '#core';
import type { Model } from '#learn';
import { codeOf, featureProblem, inputFor, madeColumn, type OnnxColumn, type OnnxInput } from './columns.ts';
import { type Attribute, doubles, type Graph, integers, ML, type Port, type Tensor, texts } from './graph.ts';
import { int, newSheet, number, type Sheet, tensor } from './sheet.ts';

type Encoder = Model['encoders'][number];
type Learned = Model['learned'];

/** A feature as the learner takes it, [rows, 1]. A code is an int64 of 0 … levels, the last for all that is not known. */
type Feature = { readonly numbers: string } | { readonly code: string; readonly levels: number };

export interface OnnxExport {
  readonly graph: Graph;
  readonly inputs: readonly OnnxInput[];
}

/** Errors: MODEL_EXPORT for a model that ONNX has no operators for: free texts, transformations in SQL. */
export function onnxOf(file: ModelFile): OnnxExport {
  const refuse = (problem: string): never => fail('MODEL_EXPORT', { model: file.name, format: 'ONNX', problem });
  const { model } = file;
  if (model.format === 'onnx') return refuse('it was brought as an ONNX file');
  if (model.format === 'clusters') return refuse('it has clusters, which are exported as JSON');
  if (file.transform !== null) refuse('it has a TRANSFORM in SQL');
  const made = file.features ?? [];
  for (const feature of made) {
    const problem = featureProblem(file, feature);
    if (problem !== null) refuse(problem);
  }
  if (!hasOperators(model.learned)) refuse('what it learned has no operators there');
  const sheet = newSheet();
  const inputs: OnnxInput[] = [];
  const taken = (input: OnnxInput): OnnxInput => {
    const same = inputs.find(({ name }) => name === input.name);
    if (same === undefined) inputs.push(input);
    else if (same.type !== input.type) refuse(`the column "${input.name}" is read as numbers and as texts`);
    return input;
  };
  const features = model.encoders.flatMap((encoder): Feature[] => {
    const own = made.find(({ as }) => as === encoder.column);
    const input: OnnxColumn =
      own === undefined
        ? taken(inputOf(encoder, file))
        : madeColumn(
            sheet,
            file,
            own,
            own.columns.map((name) => taken(inputFor(file, name))),
          );
    if (encoder.kind === 'text') return refuse(`the column "${encoder.column}" is free text, whose words ONNX can't hash`);
    return featuresOf(sheet, encoder, input);
  });
  const answers = answersOf(sheet, model.learned, features, inputs[0]!.name);
  const outputs = outputsOf(sheet, model, answers);
  const ports = inputs.map(({ name, type }): Port => ({ name, type, dims: [null, 1] }));
  const notes = {
    model: file.name,
    target: file.target.name,
    inputs: JSON.stringify(inputs),
    classes: JSON.stringify(model.classes),
  };
  return { inputs, graph: { nodes: sheet.nodes, constants: sheet.constants, inputs: ports, outputs, opsets: { '': 17, [ML]: 5 }, notes } };
}

/** Whether each learner in it is one that `answersOf` writes. */
export function hasOperators(learned: Learned): boolean {
  if (learned.kind === 'blend') return learned.members.every((member) => hasOperators(member.learned));
  return ['constant', 'trees', 'linear'].includes(learned.kind);
}

/** A row's values as the graph's inputs: a tensor a column. */
export function onnxRows(inputs: readonly OnnxInput[], rows: readonly Readonly<Record<string, Cell>>[]): Record<string, Tensor> {
  return Object.fromEntries(
    inputs.map(({ name, type }): [string, Tensor] => {
      const dims = [rows.length, 1];
      const values = rows.map((row) => row[name] ?? null);
      if (type === 'string') return [name, { type, dims, values: values.map((value) => (value === null ? '' : String(value).trim())) }];
      const known = (value: Cell) => (value === null || (typeof value === 'string' && value.trim() === '') ? Number.NaN : Number(value));
      return [name, { type, dims, values: Float64Array.from(values, known) }];
    }),
  );
}

function inputOf(encoder: Encoder, file: ModelFile): OnnxInput {
  const { column: name } = encoder;
  if (encoder.kind === 'time') return { name, type: 'double', as: 'time' };
  if (encoder.kind === 'number') return { name, type: 'double', as: 'number' };
  const stored = file.inputs.find((input) => input.name === name);
  return stored?.kind === 'number' ? { name, type: 'double', as: 'number' } : { name, type: 'string', as: 'text' };
}

function featuresOf(sheet: Sheet, encoder: Exclude<Encoder, { kind: 'text' }>, input: OnnxColumn): Feature[] {
  switch (encoder.kind) {
    case 'number':
      return [{ numbers: input.name }];
    case 'category':
      return [{ code: codeOf(sheet, input, encoder.levels), levels: encoder.levels.length }];
    case 'statistics': {
      const code = codeOf(sheet, input, encoder.levels);
      const means = doublesOf(encoder.means);
      return Array.from({ length: encoder.outputs }, (_, k) => {
        const table = means.filter((_mean, at) => at % encoder.outputs === k);
        return { numbers: sheet.op('Gather', [sheet.constant(doubles([table.length], table)), code]) };
      });
    }
    case 'time':
      return timeFeatures(sheet, localTime(sheet, input.name, encoder.clock), encoder.hours);
  }
}

/** By how much each change of the clock sets it is added where the instant is not before it; NaN is before none, and stays. */
function localTime(sheet: Sheet, millis: string, clock: Clock = []): string {
  const [first, ...later] = clock;
  if (first === undefined) return millis;
  const start = sheet.op('Add', [millis, number(sheet, first[1])]);
  if (later.length === 0) return start;
  const passed = sheet.op('GreaterOrEqual', [
    millis,
    sheet.constant(
      doubles(
        [1, later.length],
        later.map(([since]) => since),
      ),
    ),
  ]);
  const steps = later.map(([, ahead], k) => ahead - clock[k]![1]);
  const more = sheet.op('MatMul', [sheet.op('Cast', [passed], { to: int(11) }), sheet.constant(doubles([later.length, 1], steps))]);
  return sheet.op('Add', [start, more]);
}

/**
 * Parts of a date from epoch milliseconds, as the encoder has them. Days to year, month and day: Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms", civil_from_days, in doubles with floors. NaN goes through all of it.
 */
function timeFeatures(sheet: Sheet, millis: string, hours: boolean): Feature[] {
  const apply = (op: string, a: string, b: number | string) => sheet.op(op, [a, typeof b === 'number' ? number(sheet, b) : b]);
  const over = (a: string, b: number) => sheet.op('Floor', [apply('Div', a, b)]);
  const minus = (a: string, b: number | string) => apply('Sub', a, b);
  const times = (a: string, b: number) => apply('Mul', a, b);
  const day = over(millis, 86_400_000);
  const shifted = apply('Add', day, 719_468);
  const era = over(shifted, 146_097);
  const dayOfEra = minus(shifted, times(era, 146_097));
  const leaps = apply('Add', minus(minus(dayOfEra, over(dayOfEra, 1460)), over(dayOfEra, 146_096)), over(dayOfEra, 36_524));
  const yearOfEra = over(leaps, 365);
  const before = minus(apply('Add', times(yearOfEra, 365), over(yearOfEra, 4)), over(yearOfEra, 100));
  const dayOfYear = minus(dayOfEra, before);
  const fromMarch = over(apply('Add', times(dayOfYear, 5), 2), 153);
  const dayOfMonth = apply('Add', minus(dayOfYear, over(apply('Add', times(fromMarch, 153), 2), 5)), 1);
  // March is 0 there; here January is.
  const late = over(fromMarch, 10);
  const month = minus(apply('Add', fromMarch, 2), times(late, 12));
  const year = apply('Add', apply('Add', yearOfEra, times(era, 400)), late);
  const thursday = apply('Add', day, 3);
  const weekday = minus(thursday, times(over(thursday, 7), 7));
  const parts = [day, year, month, dayOfMonth, weekday];
  if (hours) parts.push(over(minus(millis, times(day, 86_400_000)), 3_600_000));
  return parts.map((numbers) => ({ numbers }));
}

/** Probabilities [rows, classes] or values [rows, 1]. */
function answersOf(sheet: Sheet, learned: Learned, features: readonly Feature[], anInput: string): string {
  switch (learned.kind) {
    case 'constant': {
      const shape = sheet.op('Shape', [anInput]);
      const scores = sheet.constant(doubles([1, learned.scores.length], learned.scores));
      return linked(sheet, sheet.op('Expand', [scores, shape]), learned.link, learned.scores.length);
    }
    case 'trees':
      return linked(sheet, treeScores(sheet, learned, features, anInput), learned.link, learned.forest.outputs);
    case 'linear':
      return linked(sheet, linearScores(sheet, learned, features), learned.link, learned.outputs);
    case 'blend': {
      const parts = learned.members.map(({ weight, learned: member }) =>
        sheet.op('Mul', [answersOf(sheet, member, features, anInput), number(sheet, weight)]),
      );
      return parts.reduce((sum, part) => sheet.op('Add', [sum, part]));
    }
  }
}

function linked(sheet: Sheet, scores: string, link: Exclude<Learned, { kind: 'blend' }>['link'], outputs: number): string {
  const withFirst = (second: string) => sheet.op('Concat', [sheet.op('Sub', [number(sheet, 1), second]), second], { axis: int(1) });
  switch (link) {
    case 'identity':
      return scores;
    case 'exp':
      return sheet.op('Exp', [scores]);
    case 'softmax':
      return sheet.op('Softmax', [scores], { axis: int(1) });
    case 'sigmoid':
      return withFirst(sheet.op('Sigmoid', [scores]));
    case 'share': {
      if (outputs === 1) return withFirst(sheet.op('Clip', [scores, number(sheet, 0), number(sheet, 1)]));
      const shares = sheet.op('Clip', [scores, number(sheet, 0)]);
      const sum = sheet.op('ReduceSum', [shares, sheet.constant(integers([1], [1]))], { keepdims: int(1) });
      const none = sheet.op('Equal', [sum, number(sheet, 0)]);
      return sheet.op('Where', [none, number(sheet, 1 / outputs), sheet.op('Div', [shares, sum])]);
    }
  }
}

/** ai.onnx.ml's TreeEnsemble of version 5: doubles and sets of categories. Trees that are one leaf stand in the base. */
function treeScores(sheet: Sheet, learned: Learned & { kind: 'trees' }, features: readonly Feature[], anInput: string): string {
  const { forest } = learned;
  const { outputs } = forest;
  const [base, threshold] = [doublesOf(forest.base), doublesOf(forest.threshold)];
  const [roots, feature, left] = [integersOf(forest.roots), integersOf(forest.feature), integersOf(forest.left)];
  const [missingLeft, sets] = [bytesOf(forest.missingLeft), new Uint32Array(bufferOf(forest.sets))];
  const inner: number[] = [];
  const leaves: number[] = [];
  /** Where each node stands among the inner ones or the leaves. */
  const place = new Int32Array(feature.length);
  feature.forEach((f, node) => {
    const list = f < 0 ? leaves : inner;
    place[node] = list.push(node) - 1;
  });
  const output = new Int32Array(feature.length);
  const grown: number[] = [];
  roots.forEach((root, tree) => {
    output.fill(tree % outputs, root, roots[tree + 1] ?? feature.length);
    if (feature[root]! >= 0) grown.push(place[root]!);
    else base[tree % outputs] = base[tree % outputs]! + threshold[root]!;
  });
  if (grown.length === 0) {
    const scores = sheet.constant(doubles([1, outputs], base));
    return sheet.op('Expand', [scores, sheet.op('Shape', [anInput])]);
  }
  const table = sheet.op(
    'Concat',
    features.map((each) => numbersOf(sheet, each)),
    { axis: int(1) },
  );
  const levelsOf = (node: number) => features[feature[node]!]! as { levels: number };
  const isSet = (node: number) => 'code' in features[feature[node]!]!;
  const members = inner.filter(isSet).flatMap((node) => {
    const at = threshold[node]!;
    const held = Array.from({ length: levelsOf(node).levels }, (_, code) => code).filter(
      (code) => ((sets[at + (code >>> 5)]! >>> (code & 31)) & 1) === 1,
    );
    // Where only missing values go left the set is empty, which runtimes refuse; no code is below 0.
    return [...(held.length === 0 ? [-1] : held), Number.NaN];
  });
  const ints = (of: (node: number) => number): Attribute => ({ kind: 'ints', value: inner.map(of) });
  const isLeaf = (node: number) => Number(feature[node]! < 0);
  const scores = sheet.op(
    'TreeEnsemble',
    [table],
    {
      nodes_featureids: ints((node) => feature[node]!),
      nodes_splits: tensor(
        doubles(
          [inner.length],
          inner.map((node) => (isSet(node) ? 0 : threshold[node]!)),
        ),
      ),
      nodes_modes: tensor({ type: 'uint8', dims: [inner.length], values: Float64Array.from(inner, (node) => (isSet(node) ? 6 : 0)) }),
      nodes_truenodeids: ints((node) => place[left[node]!]!),
      nodes_trueleafs: ints((node) => isLeaf(left[node]!)),
      nodes_falsenodeids: ints((node) => place[left[node]! + 1]!),
      nodes_falseleafs: ints((node) => isLeaf(left[node]! + 1)),
      nodes_missing_value_tracks_true: ints((node) => missingLeft[node]!),
      ...(members.length > 0 && { membership_values: tensor(doubles([members.length], members)) }),
      leaf_targetids: { kind: 'ints', value: leaves.map((node) => output[node]!) },
      leaf_weights: tensor(
        doubles(
          [leaves.length],
          leaves.map((node) => threshold[node]!),
        ),
      ),
      tree_roots: { kind: 'ints', value: grown },
      n_targets: int(outputs),
      aggregate_function: int(1),
      post_transform: int(0),
    },
    ML,
  );
  return sheet.op('Add', [scores, sheet.constant(doubles([1, outputs], base))]);
}

/** A code as the trees compare it: NaN where it is not known. */
function numbersOf(sheet: Sheet, feature: Feature): string {
  if ('numbers' in feature) return feature.numbers;
  const codes = Array.from({ length: feature.levels + 1 }, (_, code) => (code === feature.levels ? Number.NaN : code));
  return sheet.op('Gather', [sheet.constant(doubles([codes.length], codes)), feature.code]);
}

function linearScores(sheet: Sheet, learned: Learned & { kind: 'linear' }, features: readonly Feature[]): string {
  const { design, outputs, intercepts } = learned;
  const weights = new Float32Array(bufferOf(learned.weights));
  const standard: string[] = [];
  const rows: number[] = [];
  const parts: string[] = [];
  let at = 0;
  const take = (count: number) => Array.from(weights.subarray(at * outputs, (at += count) * outputs));
  design.parts.forEach((part, f) => {
    const feature = features[f]!;
    if (part.kind === 'levels') {
      // The last row, of zeros, is for what is not known.
      const table = sheet.constant(doubles([part.levels + 1, outputs], [...take(part.levels), ...new Array<number>(outputs).fill(0)]));
      const picked = sheet.op('Gather', [table, 'code' in feature ? feature.code : cycleCode(sheet, feature.numbers, part.levels)]);
      // [rows, 1, outputs]
      parts.push(sheet.op('Reshape', [picked, sheet.constant(integers([2], [-1, outputs]))]));
      return;
    }
    const value = (feature as { numbers: string }).numbers;
    const missing = sheet.op('IsNaN', [value]);
    const held = sheet.op('Clip', [value, number(sheet, part.low), number(sheet, part.high)]);
    const centred = sheet.op('Div', [sheet.op('Sub', [held, number(sheet, part.mean)]), number(sheet, part.deviation)]);
    standard.push(sheet.op('Where', [missing, number(sheet, 0), centred]));
    rows.push(...take(1));
    if (!part.missing) return;
    standard.push(sheet.op('Cast', [missing], { to: int(11) }));
    rows.push(...take(1));
  });
  if (standard.length > 0) {
    const table = sheet.op('Concat', standard, { axis: int(1) });
    parts.push(sheet.op('MatMul', [table, sheet.constant(doubles([standard.length, outputs], rows))]));
  }
  return parts.reduce((sum, part) => sheet.op('Add', [sum, part]), sheet.constant(doubles([1, outputs], intercepts)));
}

/** A month, weekday or hour as an index; `levels` where it is missing. */
function cycleCode(sheet: Sheet, numbers: string, levels: number): string {
  const filled = sheet.op('Where', [sheet.op('IsNaN', [numbers]), number(sheet, levels), numbers]);
  return sheet.op('Cast', [filled], { to: int(7) });
}

function outputsOf(sheet: Sheet, model: Model, answers: string): Port[] {
  if (model.classes === null) {
    sheet.op('Identity', [answers], {}, '', 'prediction');
    return [{ name: 'prediction', type: 'double', dims: [null, 1] }];
  }
  const { classes } = model;
  const best = sheet.op('ArgMax', [answers], { axis: int(1), keepdims: int(0) });
  const labels = model.targetKind === 'text' ? texts(classes) : doubles([classes.length], classes.map(Number));
  sheet.op('Gather', [sheet.constant(labels), best], {}, '', 'label');
  sheet.op('Identity', [answers], {}, '', 'probabilities');
  return [
    { name: 'label', type: labels.type, dims: [null] },
    { name: 'probabilities', type: 'double', dims: [null, classes.length] },
  ];
}

/** Learning packs numbers as base64 of their little-endian bytes. */
function bufferOf(packed: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(packed, 'base64')).buffer;
}
const doublesOf = (packed: string) => new Float64Array(bufferOf(packed));
const integersOf = (packed: string) => new Int32Array(bufferOf(packed));
const bytesOf = (packed: string) => new Uint8Array(bufferOf(packed));
