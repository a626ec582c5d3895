/** The columns that a model's encoders read, in an ONNX graph: its inputs, and what the feature functions of TRANSFORM make of them. */
import type { Feature, ModelFile } from '#analyze';
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
  if (does.kind === 'cross') return `its TRANSFORM joins texts in "${as}"`;
  const column = columns[0]!;
  if (inputFor(file, column).type === 'double') return null;
  if (does.kind === 'scale' || does.kind === 'bucket') return `its TRANSFORM reads numbers from the texts of "${column}"`;
  const texts = [...(does.kind === 'keep' ? does.levels : []), ...file.golden.rows.map((row) => row[column])];
  // Blanks are cut before the graph reads a text, and '' is missing there; here a feature sees both.
  return texts.some((text) => typeof text === 'string' && (text === '' || text.trim() !== text))
    ? `the column "${column}" has texts that are empty or have blanks around them`
    : null;
}

/** Only for a feature without a problem. */
export function madeColumn(sheet: Sheet, { does }: Feature, { name, type }: OnnxInput): OnnxColumn {
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
    case 'cross':
      throw new Error('a feature with a problem');
  }
}

/** The indexes as int64, the last one where the number is missing. */
function missingLast(sheet: Sheet, numbers: string, indexes: string, texts: readonly unknown[]): string {
  const index = sheet.op('Where', [sheet.op('IsNaN', [numbers]), number(sheet, texts.length - 1), indexes]);
  return sheet.op('Cast', [index], { to: int(7) });
}

function textIndex(sheet: Sheet, name: string, levels: readonly string[]): string {
  return sheet.op(
    'LabelEncoder',
    [name],
    {
      keys_strings: { kind: 'texts', value: [...levels, ''] },
      values_int64s: { kind: 'ints', value: [...levels.keys(), levels.length + 1] },
      default_int64: int(levels.length),
    },
    ML,
  );
}

function numberIndex(sheet: Sheet, name: string, levels: readonly string[], texts: readonly unknown[]): string {
  if (levels.length === 0) return missingLast(sheet, name, number(sheet, 0), texts);
  const keys = { keys_tensor: tensor(doubles([levels.length], levels.map(Number))) };
  const values = {
    values_tensor: tensor(doubles([levels.length], [...levels.keys()])),
    default_tensor: tensor(doubles([1], [levels.length])),
  };
  return missingLast(sheet, name, sheet.op('LabelEncoder', [name], { ...keys, ...values }, ML), texts);
}

/** The level's number; the count of levels for all others, missing ones among them. */
export function codeOf(sheet: Sheet, column: OnnxColumn, levels: readonly string[]): string {
  const places = new Map(levels.map((level, at) => [level, at]));
  const code = (text: string | null) => (text === null ? levels.length : (places.get(text) ?? levels.length));
  if (column.type === 'index')
    return sheet.op('Gather', [sheet.constant(integers([column.texts.length], column.texts.map(code))), column.name]);
  if (column.type === 'string') {
    const keys = column.filled === undefined ? levels : [...levels, ''];
    return sheet.op(
      'LabelEncoder',
      [column.name],
      {
        keys_strings: { kind: 'texts', value: keys },
        values_int64s: { kind: 'ints', value: keys.map((key) => code(key === '' ? column.filled! : key)) },
        default_int64: int(levels.length),
      },
      ML,
    );
  }
  const encoded = sheet.op(
    'LabelEncoder',
    [column.name],
    {
      keys_tensor: tensor(doubles([levels.length], levels.map(Number))),
      values_tensor: tensor(doubles([levels.length], [...levels.keys()])),
      default_tensor: tensor(doubles([1], [levels.length])),
    },
    ML,
  );
  return sheet.op('Cast', [encoded], { to: int(7) });
}
