/** The columns that a model's encoders read, in an ONNX graph: its inputs, and what the feature functions of TRANSFORM make of them. */
import type { Feature, ModelFile } from '#analyze';
import { makesNumbers } from '../features.ts';
import { doubles, integers, ML } from './graph.ts';
import { int, number, type Sheet, tensor } from './sheet.ts';

/** What is read of each column; ONNX can't cut blanks, so whoever asks does. */
export interface OnnxInput {
  readonly name: string;
  readonly type: 'double' | 'string';
  readonly as: 'number' | 'text' | 'time';
}

/** A column, [rows, 1]: numbers with NaN for missing, texts with '' for missing, or the indexes (int64) of the few texts that it can hold. */
export type OnnxColumn =
  /** `filled` stands in the place of ''. */
  | { readonly name: string; readonly type: 'double' | 'string'; readonly filled?: string }
  | { readonly name: string; readonly type: 'index'; readonly texts: readonly (string | null)[] };

export function inputFor(file: ModelFile, name: string): OnnxInput {
  const kind = file.inputs.find((input) => input.name === name)?.kind ?? 'text';
  return kind === 'text' ? { name, type: 'string', as: 'text' } : { name, type: 'double', as: kind };
}

/** Why a feature can't be written, or null. */
export function featureProblem(file: ModelFile, { as, columns, does }: Feature): string | null {
  const read = columns.map((name) => inputFor(file, name));
  const worded = read.find(({ type }) => type === 'string')?.name;
  const encoder = encoderOf(file, as);
  const isNumber = makesNumbers(does, worded === undefined ? 'number' : 'text');
  if (!isNumber && (encoder?.kind === 'number' || encoder?.kind === 'time'))
    return `its TRANSFORM makes texts in "${as}" that are read as numbers`;
  if (worded !== undefined && (does.kind === 'scale' || does.kind === 'bucket' || does.kind === 'product'))
    return `its TRANSFORM reads numbers from the texts of "${worded}"`;
  return does.kind === 'cross' && encoder !== undefined ? crossProblem(file, as, read) : null;
}

function crossProblem(file: ModelFile, as: string, columns: readonly OnnxInput[]): string | null {
  const levels = joinedLevels(file, as);
  if (levels.length === 0) return `the texts that are joined in "${as}" are not read as categories`;
  const ways = levels.map((level) => splits(level, columns).length);
  return ways.reduce((sum, count) => sum + count) > MOST_SPLITS ? `the texts joined in "${as}" come apart in too many ways` : null;
}

/** Texts with many "_" in them come apart in many ways, each of which is an entry in the graph's tables. */
const MOST_SPLITS = 100_000;

const encoderOf = ({ model }: ModelFile, as: string) =>
  model.format === 'millrace-model' ? model.encoders.find(({ column }) => column === as) : undefined;

/** The joined texts that the model tells apart; none where it reads them otherwise. */
function joinedLevels(file: ModelFile, as: string): readonly string[] {
  const encoder = encoderOf(file, as);
  return encoder?.kind === 'category' || encoder?.kind === 'statistics' ? encoder.levels : [];
}

/** The values of the columns that give the text when they are joined by "_": more than one way where they have "_" in them. */
function splits(text: string, columns: readonly OnnxInput[]): string[][] {
  const [column, ...others] = columns;
  const fits = (part: string) => (column!.type === 'string' ? part !== '' && part.trim() === part : String(Number(part)) === part);
  if (others.length === 0) return fits(text) ? [[text]] : [];
  const ways: string[][] = [];
  for (let at = text.indexOf('_'); at >= 0 && ways.length <= MOST_SPLITS; at = text.indexOf('_', at + 1)) {
    const part = text.slice(0, at);
    if (fits(part)) for (const rest of splits(text.slice(at + 1), others)) ways.push([part, ...rest]);
  }
  return ways;
}

/** Only for a feature without a problem. */
export function madeColumn(sheet: Sheet, file: ModelFile, { as, does }: Feature, inputs: readonly OnnxInput[]): OnnxColumn {
  const { name, type } = inputs[0]!;
  switch (does.kind) {
    case 'scale': {
      const centred = sheet.op('Sub', [name, number(sheet, does.offset)]);
      return { name: sheet.op('Div', [centred, number(sheet, does.by)]), type: 'double' };
    }
    case 'fill':
      if (type === 'string') return { name, type, filled: String(does.value) };
      return { name: sheet.op('Where', [sheet.op('IsNaN', [name]), number(sheet, Number(does.value)), name]), type };
    case 'bucket': {
      const { edges } = does;
      const reached = sheet.op('GreaterOrEqual', [name, sheet.constant(doubles([1, edges.length], edges))]);
      const count = sheet.op('ReduceSum', [sheet.op('Cast', [reached], { to: int(11) }), sheet.constant(integers([1], [1]))], {
        keepdims: int(1),
      });
      const texts = [...Array.from({ length: edges.length + 1 }, (_, k) => `bin_${k + 1}`), null];
      return { name: missingLast(sheet, name, count, texts), type: 'index', texts };
    }
    case 'keep': {
      const texts = [...does.levels, 'other', null];
      return {
        name: type === 'string' ? textIndex(sheet, name, does.levels) : numberIndex(sheet, name, does.levels, texts),
        type: 'index',
        texts,
      };
    }
    case 'product':
      return { name: inputs.slice(1).reduce((product, input) => sheet.op('Mul', [product, input.name]), name), type };
    case 'cross':
      return crossed(sheet, joinedLevels(file, as), inputs);
  }
}

/**
 * Nothing joins texts in these operators, so the pairs are looked up: the first column's value by its place among those known, that with
 * the second's by the place of the pair, and so on, the last pair by the level that it is.
 */
function crossed(sheet: Sheet, levels: readonly string[], inputs: readonly OnnxInput[]): OnnxColumn {
  const ways = levels.flatMap((level, code) => splits(level, inputs).map((parts) => ({ parts, code })));
  let joined = '';
  let places: readonly number[] = ways.map(() => 0);
  inputs.forEach((input, column) => {
    const values = placed(ways.map(({ parts }) => parts[column]!));
    const read = input.type === 'string' ? textPlace : numberPlace;
    const at = read(sheet, input.name, values.keys);
    const pair = column === 0 ? at : sheet.op('Add', [sheet.op('Mul', [joined, number(sheet, values.keys.length + 1)]), at]);
    const pairs = placed(values.places.map((place, way) => places[way]! * (values.keys.length + 1) + place));
    joined = lookUp(sheet, pair, pairs.keys, [...pairs.keys.keys()], pairs.keys.length);
    places = pairs.places;
  });
  // A way is a pair of its own at the end: what is joined in it is one level.
  const codes = new Map(places.map((place, way) => [place, ways[way]!.code]));
  const code = lookUp(sheet, joined, [...codes.keys()], [...codes.values()], levels.length);
  return { name: sheet.op('Cast', [code], { to: int(7) }), type: 'index', texts: [...levels, null] };
}

/** The different keys, and where each of those given stands among them. */
function placed<K>(given: readonly K[]): { readonly keys: readonly K[]; readonly places: readonly number[] } {
  const found = new Map<K, number>();
  const places = given.map((key) => {
    if (!found.has(key)) found.set(key, found.size);
    return found.get(key)!;
  });
  return { keys: [...found.keys()], places };
}

/** Where a value stands among those known, as a double; their number for all others. */
function textPlace(sheet: Sheet, name: string, values: readonly string[]): string {
  return sheet.op('Cast', [textCode(sheet, name, values, [...values.keys()], values.length)], { to: int(11) });
}
function numberPlace(sheet: Sheet, name: string, values: readonly string[]): string {
  return lookUp(sheet, name, values.map(Number), [...values.keys()], values.length);
}

/** Doubles for doubles; `none` for all that is no key. */
function lookUp(sheet: Sheet, numbers: string, keys: readonly number[], values: readonly number[], none: number): string {
  const table = { keys_tensor: tensor(doubles([keys.length], keys)), values_tensor: tensor(doubles([values.length], values)) };
  return sheet.op('LabelEncoder', [numbers], { ...table, default_tensor: tensor(doubles([1], [none])) }, ML);
}

/** int64s for texts. */
function textCode(sheet: Sheet, name: string, keys: readonly string[], values: readonly number[], none: number): string {
  const table = { keys_strings: { kind: 'texts', value: keys }, values_int64s: { kind: 'ints', value: values } } as const;
  return sheet.op('LabelEncoder', [name], { ...table, default_int64: int(none) }, ML);
}

/** The indexes as int64, the last one where the number is missing. */
function missingLast(sheet: Sheet, numbers: string, indexes: string, texts: readonly unknown[]): string {
  const index = sheet.op('Where', [sheet.op('IsNaN', [numbers]), number(sheet, texts.length - 1), indexes]);
  return sheet.op('Cast', [index], { to: int(7) });
}

function textIndex(sheet: Sheet, name: string, levels: readonly string[]): string {
  return textCode(sheet, name, [...levels, ''], [...levels.keys(), levels.length + 1], levels.length);
}

function numberIndex(sheet: Sheet, name: string, levels: readonly string[], texts: readonly unknown[]): string {
  if (levels.length === 0) return missingLast(sheet, name, number(sheet, 0), texts);
  return missingLast(sheet, name, numberPlace(sheet, name, levels), texts);
}

/** The level's number; the count of levels for all others, missing ones among them. */
export function codeOf(sheet: Sheet, column: OnnxColumn, levels: readonly string[]): string {
  const places = new Map(levels.map((level, at) => [level, at]));
  const code = (text: string | null) => (text === null ? levels.length : (places.get(text) ?? levels.length));
  if (column.type === 'index')
    return sheet.op('Gather', [sheet.constant(integers([column.texts.length], column.texts.map(code))), column.name]);
  if (column.type === 'string') {
    const keys = column.filled === undefined ? levels : [...levels, ''];
    return textCode(
      sheet,
      column.name,
      keys,
      keys.map((key) => code(key === '' ? column.filled! : key)),
      levels.length,
    );
  }
  return sheet.op('Cast', [numberPlace(sheet, column.name, levels)], { to: int(7) });
}
