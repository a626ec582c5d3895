/** A model of one's own, from its ONNX file: what it takes and gives is read from its graph and tried once before it is believed. */
import type { BroughtModel, Cell, Golden, Input } from '#analyze';
import { fail } from '#core';
import type { ColumnData, Prediction } from '#learn';
import { type Graph, type Port, type Tensor, texts } from './graph.ts';
import { readOnnx } from './proto.ts';
import { runnerOf, type Values } from './run.ts';

export interface Brought {
  readonly model: BroughtModel;
  readonly inputs: readonly Input[];
  readonly golden: Golden;
}

const refuse = (problem: string): never => fail('MODEL_ONNX', { problem });

/**
 * The model of a file. An input that is one column wide is a column of its name; the columns of a wider one are named by the asker.
 * Errors: MODEL_ONNX for a file that can't be read or run, and where it is not plain which columns it takes or what it answers.
 */
export function bring(
  bytes: Uint8Array,
  said: { target: string; columns: readonly string[] | null; classes: readonly string[] | null },
): Brought {
  const graph = readOnnx(bytes);
  const run = runnerOf(graph);
  const ports = portsOf(graph, said.columns);
  const inputs = ports.flatMap(({ input, columns }): Input[] => {
    const { type } = graph.inputs.find(({ name }) => name === input)!;
    return columns.map((name) => (type === 'string' ? { name, type: 'VARCHAR', kind: 'text' } : { name, type: 'DOUBLE', kind: 'number' }));
  });
  const rows = trialRows(inputs, graph);
  const head = headOf(graph, run(tensorsOf(graph, ports, columnsOf(rows, inputs))), rows.length, said.classes);
  const onnx = Buffer.from(bytes).toString('base64');
  const model: BroughtModel = { format: 'onnx', target: said.target, report: null, onnx, ports, ...head };
  const answers = broughtAnswerer(model)(columnsOf(rows, inputs));
  const width = model.classes?.length ?? 1;
  const given = rows.map((row, at) => ({ row, answer: [...answers.subarray(at * width, (at + 1) * width)] }));
  // NaN can't be compared; what a linear model makes of a missing value is that.
  const kept = given.filter(({ answer }) => answer.every(Number.isFinite));
  if (kept.length === 0) refuse('it answers no row with numbers');
  return { model, inputs, golden: { rows: kept.map(({ row }) => row), answers: kept.map(({ answer }) => answer) } };
}

function portsOf(graph: Graph, said: readonly string[] | null): BroughtModel['ports'] {
  if (graph.inputs.length === 0) refuse('it takes no inputs');
  const widthOf = ({ name, dims }: Port): number => {
    if (dims.length > 2) refuse(`its input "${name.slice(0, 50)}" is no table of rows and columns`);
    return dims.length < 2
      ? 1
      : (dims[1] ?? said?.length ?? refuse(`how wide its input "${name.slice(0, 50)}" is, only input_cols can say`));
  };
  const wide = graph.inputs.filter((port) => widthOf(port) !== 1);
  if (wide.length === 0 && said === null) return graph.inputs.map(({ name }) => ({ input: name, columns: [name] }));
  const total = graph.inputs.reduce((sum, port) => sum + widthOf(port), 0);
  if (said === null || said.length !== total || new Set(said).size !== total)
    return refuse(
      `it takes ${total} columns${said === null ? '' : `, not the ${said.length} given`}: name each of them in input_cols, in its order`,
    );
  let at = 0;
  return graph.inputs.map((port) => ({ input: port.name, columns: said.slice(at, (at += widthOf(port))) }));
}

const NUMBERS = [0, 1, -1, 0.5, 2, 10, 37, 100, 1000, null];
const TRIALS = 64;

/** Rows that look at different numbers and at the categories that the graph names. */
function trialRows(inputs: readonly Input[], graph: Graph): Record<string, Cell>[] {
  const named = graph.nodes.flatMap(({ attributes }) => ['keys_strings', 'cats_strings'].map((name) => attributes[name]));
  const categories = named.flatMap((each) => (each?.kind === 'texts' ? each.value : []));
  const words = categories.length === 0 ? [''] : categories;
  return Array.from({ length: TRIALS }, (_, row) =>
    Object.fromEntries(
      inputs.map(({ name, kind }, k): [string, Cell] => {
        if (kind === 'text') return [name, words[(row * 7 + k * 3) % words.length]!];
        return [name, NUMBERS[(row * 3 + k * (row % 9) + k) % NUMBERS.length]!];
      }),
    ),
  );
}

function columnsOf(rows: readonly Readonly<Record<string, Cell>>[], inputs: readonly Input[]): ColumnData[] {
  return inputs.map(({ name, kind }): ColumnData => {
    if (kind === 'text') return { name, kind, values: rows.map((row) => row[name] as string | null) };
    return { name, kind, values: Float64Array.from(rows, (row) => (row[name] as number | null) ?? Number.NaN) };
  });
}

/** Which output answers what: labels in one dimension, probabilities or values as numbers. */
function headOf(
  graph: Graph,
  values: Values,
  rows: number,
  said: readonly string[] | null,
): Pick<BroughtModel, 'task' | 'targetKind' | 'classes' | 'answers'> {
  const outputs = graph.outputs.map(({ name }) => ({ name, tensor: values[name]! }));
  const fits = (tensor: Tensor) => tensor.dims[0] === rows && tensor.dims.length <= 2;
  const numbers = outputs.filter(({ tensor }) => fits(tensor) && (tensor.type === 'float' || tensor.type === 'double'));
  // Labels may be doubles too: probabilities are wider than they are.
  const wide = numbers.find(({ tensor }) => tensor.values.length > rows);
  const scores = wide ?? numbers[0] ?? refuse('none of its outputs is a number for each row');
  const width = scores.tensor.values.length / rows;
  const labels = outputs.find(({ name, tensor }) => fits(tensor) && name !== scores.name && tensor.values.length === rows);
  const classes = said ?? (width > 1 ? classesIn(graph, width) : null);
  if (classes === null) {
    if (width !== 1) refuse(`it answers ${width} numbers for each row; name them in classes`);
    return { task: 'regression', targetKind: 'number', classes: null, answers: scores.name };
  }
  if (width !== classes.length && !(width === 1 && classes.length === 2))
    refuse(`it answers ${width} numbers for ${classes.length} classes`);
  const whole = labels !== undefined && labels.tensor.type !== 'string' && classes.every((label) => /^-?\d+$/.test(label));
  return { task: 'classification', targetKind: whole ? 'number' : 'text', classes, answers: scores.name };
}

/** The classes that the graph names, or what stands for them: 0, 1, 2 … */
function classesIn(graph: Graph, width: number): readonly string[] {
  const noted: unknown = JSON.parse(graph.notes['classes'] ?? 'null');
  if (Array.isArray(noted) && noted.length === width) return noted.map(String);
  for (const { attributes } of graph.nodes) {
    for (const name of ['classlabels_strings', 'classlabels_int64s', 'classlabels_ints']) {
      const found = attributes[name];
      if ((found?.kind === 'texts' || found?.kind === 'ints') && found.value.length === width) return found.value.map(String);
    }
  }
  const chosen = new Set(graph.nodes.filter(({ op }) => op === 'ArgMax').flatMap(({ outputs }) => outputs));
  const picks = graph.nodes.find(({ inputs }) => chosen.has(inputs[1] ?? '') && graph.constants[inputs[0]!]?.values.length === width);
  if (picks !== undefined) return Array.from(graph.constants[picks.inputs[0]!]!.values as ArrayLike<unknown>, String);
  return Array.from({ length: width }, (_, k) => String(k));
}

/** Columns [rows] → answers [rows × classes], or [rows]. Errors: MODEL_INPUT, MODEL_ONNX. */
export function broughtAnswerer(model: BroughtModel): (columns: readonly ColumnData[]) => Float64Array {
  const graph = readOnnx(Buffer.from(model.onnx, 'base64'));
  const run = runnerOf(graph);
  const width = model.classes?.length ?? 1;
  return (columns) => {
    const rows = columns[0]?.values.length ?? 0;
    const given = run(tensorsOf(graph, model.ports, columns))[model.answers]!.values as ArrayLike<number>;
    if (given.length === rows * width) return Float64Array.from(given);
    if (given.length !== rows || width !== 2) refuse('it does not answer each row');
    return Float64Array.from({ length: rows * 2 }, (_, at) => (at % 2 === 1 ? given[at >> 1]! : 1 - given[at >> 1]!));
  };
}

/** One row of named values; what is absent is missing. MODEL_INPUT for one with none of the columns. */
export function broughtPredictor(model: BroughtModel): (row: Readonly<Record<string, unknown>>) => Prediction {
  const answer = broughtAnswerer(model);
  const names = model.ports.flatMap(({ columns }) => columns);
  return (row) => {
    if (!names.some((name) => Object.hasOwn(row, name))) misfit(names[0]!, 'a row with none of its columns', `a row with "${names[0]}"`);
    const answers = answer(
      names.map((name): ColumnData => {
        const value = Object.hasOwn(row, name) ? row[name] : null;
        if (typeof value === 'string' || value === null || value === undefined) return { name, kind: 'text', values: [value ?? null] };
        if (typeof value !== 'number' && typeof value !== 'boolean') misfit(name, `a value of type ${typeof value}`, 'single values');
        return { name, kind: 'number', values: Float64Array.of(Number(value)) };
      }),
    );
    if (model.classes === null) return { value: answers[0]!, probabilities: null };
    const label = model.classes[answers.indexOf(Math.max(...answers))] ?? model.classes[0]!;
    return { value: model.targetKind === 'number' ? Number(label) : label, probabilities: answers };
  };
}

const misfit = (column: string, value: string, expected: string): never => fail('MODEL_INPUT', { column, value, expected });

function tensorsOf(graph: Graph, ports: BroughtModel['ports'], columns: readonly ColumnData[]): Values {
  const rows = columns[0]?.values.length ?? 0;
  return Object.fromEntries(
    ports.map(({ input, columns: names }): [string, Tensor] => {
      const { type, dims } = graph.inputs.find(({ name }) => name === input)!;
      const given = names.map(
        (name) =>
          columns.find((column) => column.name === name) ??
          misfit(name, 'a table without this column', type === 'string' ? 'texts' : 'numbers'),
      );
      const shape = dims.length < 2 ? [rows] : [rows, names.length];
      const cell = (at: number) => given[at % names.length]!.values[Math.floor(at / names.length)];
      const size = rows * names.length;
      if (type === 'string') {
        const shown = Array.from({ length: size }, (_, at) => String(Number.isNaN(cell(at)) ? '' : (cell(at) ?? '')));
        return [input, { ...texts(shown), dims: shape }];
      }
      const number = (at: number) => numberOf(cell(at) ?? null, names[at % names.length]!, type);
      if (type === 'float') return [input, { type, dims: shape, values: Float32Array.from({ length: size }, (_, at) => number(at)) }];
      return [input, { type, dims: shape, values: Float64Array.from({ length: size }, (_, at) => number(at)) }];
    }),
  );
}

function numberOf(value: Cell, name: string, type: Port['type']): number {
  const empty = value === null || (typeof value === 'string' && value.trim() === '');
  const number = empty ? Number.NaN : Number(value);
  if (!empty && typeof value === 'string' && Number.isNaN(number)) misfit(name, `the text "${value.slice(0, 40)}"`, 'numbers');
  // Integers have no missing value.
  if (type !== 'float' && type !== 'double') return Number.isNaN(number) ? 0 : Math.trunc(number);
  return number;
}
