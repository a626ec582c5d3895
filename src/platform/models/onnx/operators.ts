/** The operators of ONNX that are known here: those of our own exports and of what scikit-learn, XGBoost and LightGBM export. */
import { fail } from '#core';
import { type Attribute, type ElementType, ML, type Node, sizeOf, type Tensor, typeNumbers } from './graph.ts';
import { addLeaves, newTrees, oldTrees, type Trees } from './trees.ts';

type Inputs = readonly (Tensor | undefined)[];
type Run = (inputs: Inputs) => readonly Tensor[];
type Operator = (node: Node, opset: number) => Run;
type Numbers = Exclude<Tensor, { type: 'string' }>;

/** Elements of one tensor: a file that makes more of a block of rows is refused before the memory is taken. */
const MOST = 20_000_000;

/** The operator of a node with its attributes read. MODEL_ONNX where it is not known or its attributes make no sense. */
export function prepare(node: Node, opset: number): Run {
  const operators = node.domain === ML ? learned : node.domain === '' ? plain : {};
  const operator = Object.hasOwn(operators, node.op) ? operators[node.op] : undefined;
  if (operator === undefined)
    return refuse(`the operator ${node.op.slice(0, 50)}${node.domain === '' ? '' : ` of ${node.domain.slice(0, 50)}`} is not known here`);
  return operator(node, opset);
}

const refuse = (problem: string): never => fail('MODEL_ONNX', { problem });

function numbers(tensor: Tensor | undefined): Numbers {
  return tensor === undefined || tensor.type === 'string' ? refuse('numbers are expected where it has none') : tensor;
}

function make(type: Exclude<ElementType, 'string'>, dims: readonly number[], of: ((at: number) => number) | null = null): Numbers {
  const size = sizeOf(dims);
  if (!(size <= MOST) || dims.some((length) => length < 0)) refuse(`a tensor of ${dims.join(' × ')} is too large`);
  const tensor: Numbers =
    type === 'float' ? { type, dims, values: new Float32Array(size) } : { type, dims, values: new Float64Array(size) };
  if (of !== null) for (let at = 0; at < size; at++) tensor.values[at] = of(at);
  return tensor;
}

const integer = ({ attributes }: Node, name: string, otherwise: number): number => {
  const found = attributes[name];
  return found?.kind === 'int' ? found.value : otherwise;
};
const decimal = ({ attributes }: Node, name: string, otherwise: number): number => {
  const found = attributes[name];
  return found?.kind === 'float' ? found.value : otherwise;
};
const word = ({ attributes }: Node, name: string, otherwise: string): string => {
  const found = attributes[name];
  return found?.kind === 'text' ? found.value : otherwise;
};
const numberList = ({ attributes }: Node, name: string): readonly number[] | null => {
  const found: Attribute | undefined = attributes[name];
  if (found?.kind === 'ints' || found?.kind === 'floats') return found.value;
  return found?.kind === 'tensor' && found.value.type !== 'string' ? [...found.value.values] : null;
};
const wordList = ({ attributes }: Node, name: string): readonly string[] | null => {
  const found = attributes[name];
  if (found?.kind === 'texts') return found.value;
  return found?.kind === 'tensor' && found.value.type === 'string' ? found.value.values : null;
};

/** Dimensions of two tensors laid over each other, those of length 1 repeated. */
function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, k) => {
    const [x, y] = [a[a.length - rank + k] ?? 1, b[b.length - rank + k] ?? 1];
    return x === y || y === 1 ? x : x === 1 ? y : refuse(`the shapes ${a.join(' × ')} and ${b.join(' × ')} don't fit`);
  });
}

/** From an element of `dims` to that of a tensor that is repeated to it. */
function indexer(from: readonly number[], dims: readonly number[]): (at: number) => number {
  if (sizeOf(from) === 1) return () => 0;
  if (from.length === dims.length && from.every((length, k) => length === dims[k])) return (at) => at;
  const steps: { length: number; step: number }[] = [];
  for (let k = dims.length - 1, step = 1; k >= 0; k--) {
    const own = from[from.length - dims.length + k] ?? 1;
    steps.push({ length: dims[k]!, step: own === 1 ? 0 : step });
    step *= own;
  }
  return (at) => {
    let index = 0;
    for (const { length, step } of steps) {
      index += (at % length) * step;
      at = Math.floor(at / length);
    }
    return index;
  };
}

type Combine = (a: number, b: number) => number;

function binary(combine: Combine, result?: 'bool', whole?: Combine): Operator {
  return () => (inputs) => {
    const [a, b] = [numbers(inputs[0]), numbers(inputs[1])];
    const dims = broadcast(a.dims, b.dims);
    const [left, right] = [indexer(a.dims, dims), indexer(b.dims, dims)];
    const by = whole !== undefined && a.type !== 'float' && a.type !== 'double' ? whole : combine;
    return [make(result ?? a.type, dims, (at) => by(a.values[left(at)]!, b.values[right(at)]!))];
  };
}

function unary(map: (value: number) => number, result?: 'bool'): Operator {
  return () => (inputs) => {
    const given = numbers(inputs[0]);
    return [make(result ?? given.type, given.dims, (at) => map(given.values[at]!))];
  };
}

/** Any number of tensors, two by two. */
function several(combine: Combine): Operator {
  const two = binary(combine);
  return (node, opset) => (inputs) => [inputs.reduce((all, each) => two(node, opset)([all, each])[0])!];
}

const equal: Operator = () => (inputs) => {
  const [a, b] = [inputs[0]!, inputs[1]!];
  const dims = broadcast(a.dims, b.dims);
  const [left, right] = [indexer(a.dims, dims), indexer(b.dims, dims)];
  return [make('bool', dims, (at) => Number(a.values[left(at)] === b.values[right(at)]))];
};

const cast: Operator = (node) => {
  const to = Object.entries(typeNumbers).find(([, number]) => number === integer(node, 'to', 0))?.[0] as ElementType | undefined;
  if (to === undefined) return refuse('it casts to a type that is not known here');
  const whole = to === 'int64' || to === 'int32' || to === 'uint8';
  const shaped = (value: number) => (to === 'bool' ? Number(value !== 0) : whole ? Math.trunc(value) : value);
  return (inputs) => {
    const given = inputs[0]!;
    if (to === 'string') return [{ type: to, dims: given.dims, values: Array.from(given.values as ArrayLike<unknown>, String) }];
    return [make(to, given.dims, (at) => shaped(Number(given.values[at])))];
  };
};

/** The axis counted from the front. */
function axisOf(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  return found >= 0 && found < rank ? found : refuse(`the axis ${axis} is not there`);
}

/** Elements before, along and behind an axis. */
function around(dims: readonly number[], axis: number): [number, number, number] {
  return [sizeOf(dims.slice(0, axis)), dims[axis]!, sizeOf(dims.slice(axis + 1))];
}

function like(tensor: Tensor, dims: readonly number[], from: (at: number) => number): Tensor {
  if (tensor.type !== 'string') return make(tensor.type, dims, (at) => tensor.values[from(at)]!);
  return { type: 'string', dims, values: Array.from({ length: sizeOf(dims) }, (_, at) => tensor.values[from(at)]!) };
}

const reshaped = (tensor: Tensor, dims: readonly number[]): Tensor =>
  sizeOf(dims) === tensor.values.length && dims.every((length) => length >= 0)
    ? ({ ...tensor, dims } as Tensor)
    : refuse(`the shape ${tensor.dims.join(' × ')} can't become ${dims.join(' × ')}`);

const concat: Operator = (node) => (inputs) => {
  const given = inputs as readonly Tensor[];
  const one = given[0]!;
  const axis = axisOf(integer(node, 'axis', 0), one.dims.length);
  const parts = given.map((each) => around(each.dims, axis));
  const [before, , behind] = parts[0]!;
  if (parts.some(([b, , a], k) => b !== before || a !== behind || given[k]!.type !== one.type)) refuse('parts that are joined don’t fit');
  const along = parts.reduce((sum, [, length]) => sum + length, 0);
  const dims = one.dims.map((length, k) => (k === axis ? along : length));
  if (sizeOf(dims) > MOST) refuse(`a tensor of ${dims.join(' × ')} is too large`);
  /** The part and the element of it that stands at a place of the result. */
  const from = (at: number): readonly [number, number] => {
    const outer = Math.floor(at / (along * behind));
    let inside = at % (along * behind);
    let part = 0;
    while (inside >= parts[part]![1] * behind) inside -= parts[part++]![1] * behind;
    return [part, outer * parts[part]![1] * behind + inside];
  };
  const value = (at: number): number | string => {
    const [part, place] = from(at);
    return given[part]!.values[place]!;
  };
  if (one.type !== 'string') return [make(one.type, dims, value as (at: number) => number)];
  return [{ type: 'string', dims, values: Array.from({ length: sizeOf(dims) }, (_, at) => String(value(at))) }];
};

const gather: Operator = (node) => (inputs) => {
  const data = inputs[0]!;
  const indices = numbers(inputs[1]);
  const axis = axisOf(integer(node, 'axis', 0), data.dims.length);
  const [, along, behind] = around(data.dims, axis);
  const dims = [...data.dims.slice(0, axis), ...indices.dims, ...data.dims.slice(axis + 1)];
  const count = indices.values.length;
  return [
    like(data, dims, (at) => {
      const inner = at % behind;
      const index = Math.floor(at / behind) % count;
      const outer = Math.floor(at / behind / count);
      const asked = indices.values[index]!;
      const place = asked < 0 ? asked + along : asked;
      if (!(place >= 0 && place < along)) refuse(`the index ${asked} is not there`);
      return (outer * along + place) * behind + inner;
    }),
  ];
};

const where: Operator = () => (inputs) => {
  const [condition, a, b] = [numbers(inputs[0]), inputs[1]!, inputs[2]!];
  const dims = broadcast(condition.dims, broadcast(a.dims, b.dims));
  const [which, left, right] = [indexer(condition.dims, dims), indexer(a.dims, dims), indexer(b.dims, dims)];
  const pick = (at: number) => (condition.values[which(at)] === 0 ? b.values[right(at)]! : a.values[left(at)]!);
  if (a.type !== 'string') return [make(a.type, dims, pick as (at: number) => number)];
  return [{ type: 'string', dims, values: Array.from({ length: sizeOf(dims) }, (_, at) => String(pick(at))) }];
};

/** Bounds are inputs since version 11, attributes before. */
const clip: Operator = (node) => (inputs) => {
  const given = numbers(inputs[0]);
  const bound = (k: number, name: string, none: number) =>
    inputs[k] === undefined ? decimal(node, name, none) : numbers(inputs[k]).values[0]!;
  const [low, high] = [bound(1, 'min', Number.NEGATIVE_INFINITY), bound(2, 'max', Number.POSITIVE_INFINITY)];
  return [make(given.type, given.dims, (at) => Math.min(high, Math.max(low, given.values[at]!)))];
};

const reshape: Operator = (node) => (inputs) => {
  const given = inputs[0]!;
  const asked = [...numbers(inputs[1]).values].map((length, k) =>
    length === 0 && integer(node, 'allowzero', 0) === 0 ? (given.dims[k] ?? 0) : length,
  );
  const rest = given.values.length / asked.filter((length) => length !== -1).reduce((size, length) => size * length, 1);
  return [
    reshaped(
      given,
      asked.map((length) => (length === -1 ? rest : length)),
    ),
  ];
};

const flatten: Operator = (node) => (inputs) => {
  const given = inputs[0]!;
  const axis = integer(node, 'axis', 1);
  const at = axis < 0 ? axis + given.dims.length : axis;
  return [reshaped(given, [sizeOf(given.dims.slice(0, at)), sizeOf(given.dims.slice(at))])];
};

const axesOf = (node: Node, inputs: Inputs): readonly number[] | null =>
  inputs[1] === undefined ? numberList(node, 'axes') : [...numbers(inputs[1]).values];

const squeeze: Operator = (node) => (inputs) => {
  const given = inputs[0]!;
  const axes = axesOf(node, inputs)?.map((axis) => axisOf(axis, given.dims.length));
  return [
    reshaped(
      given,
      given.dims.filter((length, k) => !(axes === undefined ? length === 1 : axes.includes(k))),
    ),
  ];
};

const unsqueeze: Operator = (node) => (inputs) => {
  const given = inputs[0]!;
  const axes = axesOf(node, inputs) ?? [];
  const rank = given.dims.length + axes.length;
  const placed = new Set(axes.map((axis) => axisOf(axis, rank)));
  const rest = [...given.dims];
  return [
    reshaped(
      given,
      Array.from({ length: rank }, (_, k) => (placed.has(k) ? 1 : rest.shift()!)),
    ),
  ];
};

const transpose: Operator = (node) => (inputs) => {
  const given = inputs[0]!;
  const rank = given.dims.length;
  const order = numberList(node, 'perm') ?? Array.from({ length: rank }, (_, k) => rank - 1 - k);
  if (order.length !== rank || new Set(order).size !== rank) refuse('an order of axes makes no sense');
  const dims = order.map((axis) => given.dims[axis] ?? refuse(`the axis ${axis} is not there`));
  const steps = given.dims.map((_, k) => sizeOf(given.dims.slice(k + 1)));
  return [
    like(given, dims, (at) => {
      let index = 0;
      for (let k = rank - 1; k >= 0; k--) {
        index += (at % dims[k]!) * steps[order[k]!]!;
        at = Math.floor(at / dims[k]!);
      }
      return index;
    }),
  ];
};

/** Rows × columns of a matrix that may lie on its side. */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly at: (row: number, column: number) => number;
}

function matrixOf(tensor: Numbers, turned = false): Matrix {
  if (tensor.dims.length !== 2) refuse(`a matrix is expected where it has ${tensor.dims.join(' × ')}`);
  const [rows, columns] = tensor.dims as [number, number];
  const { values } = tensor;
  if (turned) return { rows: columns, columns: rows, at: (row, column) => values[column * columns + row]! };
  return { rows, columns, at: (row, column) => values[row * columns + column]! };
}

function product(a: Matrix, b: Matrix, type: Numbers['type'], finish: (sum: number, row: number, column: number) => number): Numbers {
  if (a.columns !== b.rows) refuse(`the matrices ${a.rows} × ${a.columns} and ${b.rows} × ${b.columns} don't fit`);
  return make(type, [a.rows, b.columns], (at) => {
    const [row, column] = [Math.floor(at / b.columns), at % b.columns];
    let sum = 0;
    for (let k = 0; k < a.columns; k++) sum += a.at(row, k) * b.at(k, column);
    return finish(sum, row, column);
  });
}

const matmul: Operator = () => (inputs) => {
  const [a, b] = [numbers(inputs[0]), numbers(inputs[1])];
  return [product(matrixOf(a), matrixOf(b), a.type, (sum) => sum)];
};

const gemm: Operator = (node) => (inputs) => {
  const [a, b] = [numbers(inputs[0]), numbers(inputs[1])];
  const c = inputs[2] === undefined ? null : numbers(inputs[2]);
  const [left, right] = [matrixOf(a, integer(node, 'transA', 0) === 1), matrixOf(b, integer(node, 'transB', 0) === 1)];
  const [alpha, beta] = [decimal(node, 'alpha', 1), decimal(node, 'beta', 1)];
  const index = c === null ? null : indexer(c.dims, broadcast(c.dims, [left.rows, right.columns]));
  const added = (row: number, column: number) => (c === null ? 0 : beta * c.values[index!(row * right.columns + column)]!);
  return [product(left, right, a.type, (sum, row, column) => alpha * sum + added(row, column))];
};

/** Runs over one axis: `fold` gets the values along it. */
function along(
  given: Numbers,
  axis: number,
  fold: (value: (k: number) => number, length: number, write: (k: number, v: number) => void) => void,
) {
  const result = make(given.type === 'float' ? 'float' : 'double', given.dims);
  const [before, length, behind] = around(given.dims, axis);
  for (let b = 0; b < before; b++) {
    for (let i = 0; i < behind; i++) {
      const place = (k: number) => (b * length + k) * behind + i;
      fold(
        (k) => given.values[place(k)]!,
        length,
        (k, v) => {
          result.values[place(k)] = v;
        },
      );
    }
  }
  return result;
}

/** Before version 13 the axis was 1 and all behind it was one. */
const softmax =
  (logarithm: boolean): Operator =>
  (node, opset) =>
  (inputs) => {
    const given = numbers(inputs[0]);
    const axis = axisOf(integer(node, 'axis', opset < 13 ? 1 : -1), given.dims.length);
    return [
      along(given, axis, (value, length, write) => {
        let top = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < length; k++) top = Math.max(top, value(k));
        let sum = 0;
        for (let k = 0; k < length; k++) sum += Math.exp(value(k) - top);
        for (let k = 0; k < length; k++) write(k, logarithm ? value(k) - top - Math.log(sum) : Math.exp(value(k) - top) / sum);
      }),
    ];
  };

/** The first of equals, unless the last is asked for. */
const best =
  (better: (a: number, b: number) => boolean): Operator =>
  (node) =>
  (inputs) => {
    const given = numbers(inputs[0]);
    const axis = axisOf(integer(node, 'axis', 0), given.dims.length);
    const last = integer(node, 'select_last_index', 0) === 1;
    const kept = given.dims.map((length, k) => (k === axis ? 1 : length));
    const [before, length, behind] = around(given.dims, axis);
    const found = make('int64', kept, (at) => {
      const [b, i] = [Math.floor(at / behind), at % behind];
      let place = 0;
      for (let k = 1; k < length; k++) {
        const [now, held] = [given.values[(b * length + k) * behind + i]!, given.values[(b * length + place) * behind + i]!];
        if (better(now, held) || (last && now === held)) place = k;
      }
      return place;
    });
    if (before * behind !== found.values.length || length === 0) refuse('there is nothing to choose from');
    return [
      integer(node, 'keepdims', 1) === 1
        ? found
        : reshaped(
            found,
            given.dims.filter((_, k) => k !== axis),
          ),
    ];
  };

const reduce =
  (start: number, combine: Combine, mean = false): Operator =>
  (node) =>
  (inputs) => {
    const given = numbers(inputs[0]);
    const rank = given.dims.length;
    const axes = new Set((axesOf(node, inputs) ?? given.dims.map((_, k) => k)).map((axis) => axisOf(axis, rank)));
    const kept = given.dims.map((length, k) => (axes.has(k) ? 1 : length));
    const result = make(given.type, kept, () => start);
    const index = indexer(kept, given.dims);
    given.values.forEach((value, at) => {
      result.values[index(at)] = combine(result.values[index(at)]!, value);
    });
    const count = given.values.length / Math.max(1, result.values.length);
    if (mean) result.values.forEach((sum, at) => void (result.values[at] = sum / count));
    return [
      integer(node, 'keepdims', 1) === 1
        ? result
        : reshaped(
            result,
            given.dims.filter((_, k) => !axes.has(k)),
          ),
    ];
  };

const constant: Operator = (node) => {
  const value = node.attributes['value'];
  const number = node.attributes['value_float'] ?? node.attributes['value_int'];
  if (value?.kind === 'tensor') return () => [value.value];
  if (number?.kind === 'float') return () => [make('float', [], () => number.value)];
  if (number?.kind === 'int') return () => [make('int64', [], () => number.value)];
  return refuse('a constant has no value');
};

const expand: Operator = () => (inputs) => {
  const given = inputs[0]!;
  const dims = broadcast(given.dims, [...numbers(inputs[1]).values]);
  return [like(given, dims, indexer(given.dims, dims))];
};

const same: Operator = () => (inputs) => [inputs[0]!];

const plain: Readonly<Record<string, Operator>> = {
  Abs: unary(Math.abs),
  Add: binary((a, b) => a + b),
  And: binary((a, b) => Number(a !== 0 && b !== 0), 'bool'),
  ArgMax: best((a, b) => a > b),
  ArgMin: best((a, b) => a < b),
  Cast: cast,
  Ceil: unary(Math.ceil),
  Clip: clip,
  Concat: concat,
  Constant: constant,
  Div: binary(
    (a, b) => a / b,
    undefined,
    (a, b) => Math.trunc(a / b),
  ),
  Dropout: same,
  Equal: equal,
  Exp: unary(Math.exp),
  Expand: expand,
  Flatten: flatten,
  Floor: unary(Math.floor),
  Gather: gather,
  Gemm: gemm,
  Greater: binary((a, b) => Number(a > b), 'bool'),
  GreaterOrEqual: binary((a, b) => Number(a >= b), 'bool'),
  Identity: same,
  IsNaN: unary((value) => Number(Number.isNaN(value)), 'bool'),
  Less: binary((a, b) => Number(a < b), 'bool'),
  LessOrEqual: binary((a, b) => Number(a <= b), 'bool'),
  Log: unary(Math.log),
  LogSoftmax: softmax(true),
  MatMul: matmul,
  Max: several(Math.max),
  Min: several(Math.min),
  Mul: binary((a, b) => a * b),
  Neg: unary((value) => -value),
  Not: unary((value) => Number(value === 0), 'bool'),
  Or: binary((a, b) => Number(a !== 0 || b !== 0), 'bool'),
  Pow: binary((a, b) => a ** b),
  ReduceMax: reduce(Number.NEGATIVE_INFINITY, Math.max),
  ReduceMean: reduce(0, (a, b) => a + b, true),
  ReduceMin: reduce(Number.POSITIVE_INFINITY, Math.min),
  ReduceSum: reduce(0, (a, b) => a + b),
  Relu: unary((value) => Math.max(0, value)),
  Reshape: reshape,
  Shape: () => (inputs) => {
    const { dims } = inputs[0]!;
    return [make('int64', [dims.length], (k) => dims[k]!)];
  },
  Sigmoid: unary((value) => 1 / (1 + Math.exp(-value))),
  Sign: unary(Math.sign),
  Softmax: softmax(false),
  Sqrt: unary(Math.sqrt),
  Squeeze: squeeze,
  Sub: binary((a, b) => a - b),
  Tanh: unary(Math.tanh),
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Where: where,
};

type Key = string | number;

/** Version 4 may give tensors, those before lists; a key that is not there gives the default. */
const labelEncoder: Operator = (node) => {
  const keys: readonly Key[] | null =
    wordList(node, 'keys_strings') ??
    numberList(node, 'keys_int64s') ??
    numberList(node, 'keys_floats') ??
    wordList(node, 'keys_tensor') ??
    numberList(node, 'keys_tensor');
  const words = wordList(node, 'values_strings') ?? wordList(node, 'values_tensor');
  const given = node.attributes['values_tensor'];
  const type: ElementType = words
    ? 'string'
    : given?.kind === 'tensor'
      ? given.value.type
      : node.attributes['values_int64s'] === undefined
        ? 'float'
        : 'int64';
  const values: readonly Key[] | null =
    words ?? numberList(node, 'values_int64s') ?? numberList(node, 'values_floats') ?? numberList(node, 'values_tensor');
  if (keys === null || values === null || keys.length !== values.length) return refuse('a LabelEncoder has keys without values');
  const codes = new Map(keys.map((key, k) => [key, values[k]!]));
  if (type === 'string') {
    const other = wordList(node, 'default_tensor')?.[0] ?? word(node, 'default_string', '_Unused');
    return ([input]) => [
      { type, dims: input!.dims, values: Array.from(input!.values as ArrayLike<Key>, (key) => String(codes.get(key) ?? other)) },
    ];
  }
  const other =
    numberList(node, 'default_tensor')?.[0] ?? (type === 'int64' ? integer(node, 'default_int64', -1) : decimal(node, 'default_float', 0));
  return ([input]) => [make(type, input!.dims, (at) => Number(codes.get(input!.values[at]!) ?? other))];
};

const oneHotEncoder: Operator = (node) => {
  const categories: readonly Key[] = wordList(node, 'cats_strings') ?? numberList(node, 'cats_int64s') ?? [];
  const places = new Map(categories.map((category, k) => [category, k]));
  const width = categories.length;
  const strict = integer(node, 'zeros', 1) === 0;
  return ([input]) => {
    const result = make('float', [...input!.dims, width]);
    Array.from(input!.values as ArrayLike<Key>).forEach((value, at) => {
      const place = places.get(typeof value === 'number' ? Math.trunc(value) : value);
      if (place !== undefined) result.values[at * width + place] = 1;
      else if (strict) refuse(`the category ${String(value).slice(0, 50)} is not known to it`);
    });
    return [result];
  };
};

/** One value for all columns, or one for each. */
const perColumn = (list: readonly number[] | null, column: number, otherwise: number): number =>
  list === null || list.length === 0
    ? otherwise
    : list.length === 1
      ? list[0]!
      : (list[column] ?? refuse('it has more columns than numbers for them'));

const imputer: Operator = (node) => {
  const fill = numberList(node, 'imputed_value_floats') ?? numberList(node, 'imputed_value_int64s');
  const gone =
    node.attributes['replaced_value_int64'] === undefined
      ? decimal(node, 'replaced_value_float', Number.NaN)
      : integer(node, 'replaced_value_int64', 0);
  return (inputs) => {
    const given = numbers(inputs[0]);
    const width = given.dims.at(-1) ?? 1;
    return [make(given.type, given.dims, (at) => (Object.is(given.values[at], gone) ? perColumn(fill, at % width, 0) : given.values[at]!))];
  };
};

const scaler: Operator = (node) => {
  const [offset, scale] = [numberList(node, 'offset'), numberList(node, 'scale')];
  return (inputs) => {
    const given = numbers(inputs[0]);
    const width = given.dims.at(-1) ?? 1;
    return [make('float', given.dims, (at) => (given.values[at]! - perColumn(offset, at % width, 0)) * perColumn(scale, at % width, 1))];
  };
};

const normalizer: Operator = (node) => {
  const norm = word(node, 'norm', 'MAX');
  return (inputs) => {
    const given = numbers(inputs[0]);
    const result = along(given, given.dims.length - 1, (value, length, write) => {
      let size = 0;
      for (let k = 0; k < length; k++) {
        const v = value(k);
        size = norm === 'MAX' ? Math.max(size, v) : size + (norm === 'L2' ? v * v : Math.abs(v));
      }
      if (norm === 'L2') size = Math.sqrt(size);
      for (let k = 0; k < length; k++) write(k, size === 0 ? value(k) : value(k) / size);
    });
    return [make('float', given.dims, (at) => result.values[at]!)];
  };
};

/** Columns of several inputs beside each other. */
const featureVectorizer: Operator = (node, opset) => (inputs) =>
  concat(
    { ...node, attributes: { axis: { kind: 'int', value: 1 } } },
    opset,
  )(
    inputs.map((each) => {
      const given = numbers(each);
      return make('float', given.dims, (at) => given.values[at]!);
    }),
  );

const arrayFeatureExtractor: Operator = (node, opset) => (inputs) => {
  const picked = numbers(inputs[1]);
  const flat = make('int64', [picked.values.length], (at) => picked.values[at]!);
  return gather({ ...node, attributes: { axis: { kind: 'int', value: -1 } } }, opset)([inputs[0], flat]);
};

const binarizer: Operator = (node) => {
  const threshold = decimal(node, 'threshold', 0);
  return unary((value) => Number(value > threshold))(node, 1);
};

const sigmoid = (score: number): number => 1 / (1 + Math.exp(-score));

/** Scores of one row, changed in place. */
function transformed(scores: Float64Array, how: string): void {
  switch (how) {
    case 'NONE':
      return;
    case 'LOGISTIC':
      scores.forEach((score, k) => void (scores[k] = sigmoid(score)));
      return;
    case 'SOFTMAX':
    case 'SOFTMAX_ZERO': {
      const top = scores.reduce((a, b) => Math.max(a, b));
      const kept = (score: number) => (how === 'SOFTMAX_ZERO' && Math.abs(score) < 1e-7 ? 0 : Math.exp(score - top));
      const sum = scores.reduce((total, score) => total + kept(score), 0);
      scores.forEach((score, k) => void (scores[k] = kept(score) / sum));
      return;
    }
    default:
      refuse(`the transformation ${how.slice(0, 50)} of scores is not known here`);
  }
}

/** Labels by number, as a tensor of that many. */
function labelsOf(node: Node): { count: number; pick: (codes: ArrayLike<number>) => Tensor } {
  const words = wordList(node, 'classlabels_strings');
  const codes = numberList(node, 'classlabels_int64s') ?? numberList(node, 'classlabels_ints');
  if (words !== null && words.length > 0)
    return { count: words.length, pick: (of) => ({ type: 'string', dims: [of.length], values: Array.from(of, (k) => words[k]!) }) };
  if (codes === null || codes.length === 0) return refuse('a classifier has no classes');
  return { count: codes.length, pick: (of) => make('int64', [of.length], (at) => codes[of[at]!]!) };
}

function rowsOf(tensor: Numbers): { rows: number; width: number } {
  const width = tensor.dims.at(-1) ?? 1;
  return { rows: width === 0 ? 0 : tensor.values.length / width, width };
}

function treesFit(trees: Trees, width: number): void {
  if (trees.features.some((feature) => feature >= width)) refuse(`its trees look at more than the ${width} columns that they get`);
}

/** Leaves summed (or averaged) for each row, [rows × width], after the base. */
function treeSums(trees: Trees, given: Numbers, base: readonly number[], mean: boolean): Float64Array {
  const { rows, width } = rowsOf(given);
  treesFit(trees, width);
  const sums = new Float64Array(rows * trees.width);
  for (let row = 0; row < rows; row++) {
    const own = sums.subarray(row * trees.width, (row + 1) * trees.width);
    addLeaves(trees, given.values, row * width, own);
    for (let k = 0; k < own.length; k++) own[k] = (mean ? own[k]! / trees.roots.length : own[k]!) + (base[k] ?? 0);
  }
  return sums;
}

const POST = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'];

const treeEnsemble: Operator = (node) => {
  const trees = newTrees(node.attributes);
  const [aggregate, post] = [integer(node, 'aggregate_function', 1), POST[integer(node, 'post_transform', 0)] ?? 'unknown'];
  if (aggregate > 1) refuse('trees are summed or averaged here');
  return (inputs) => {
    const given = numbers(inputs[0]);
    return [finished(treeSums(trees, given, [], aggregate === 0), trees.width, post, given.type === 'double' ? 'double' : 'float')];
  };
};

function finished(sums: Float64Array, width: number, post: string, type: 'double' | 'float'): Numbers {
  for (let at = 0; at < sums.length; at += width) transformed(sums.subarray(at, at + width), post);
  return make(type, [sums.length / width, width], (at) => sums[at]!);
}

const baseOf = (node: Node): readonly number[] => numberList(node, 'base_values_as_tensor') ?? numberList(node, 'base_values') ?? [];

const treeRegressor: Operator = (node) => {
  const trees = oldTrees(node.attributes, 'target', integer(node, 'n_targets', 1));
  const how = word(node, 'aggregate_function', 'SUM');
  if (how !== 'SUM' && how !== 'AVERAGE') refuse('trees are summed or averaged here');
  return (inputs) => [
    finished(
      treeSums(trees, numbers(inputs[0]), baseOf(node), how === 'AVERAGE'),
      trees.width,
      word(node, 'post_transform', 'NONE'),
      'float',
    ),
  ];
};

/** With two classes but weights for one only, the score is the second's; what the first gets is as onnxruntime has it. */
const treeClassifier: Operator = (node) => {
  const labels = labelsOf(node);
  const ids = numberList(node, 'class_ids') ?? [];
  const one = labels.count === 2 && new Set(ids).size === 1;
  const trees = oldTrees(node.attributes, 'class', labels.count);
  const post = word(node, 'post_transform', 'NONE');
  const positive = (numberList(node, 'class_weights_as_tensor') ?? numberList(node, 'class_weights') ?? []).every((weight) => weight >= 0);
  const base = baseOf(node);
  return (inputs) => {
    const sums = treeSums(trees, numbers(inputs[0]), one ? [] : base, false);
    const rows = sums.length / labels.count;
    const codes = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const scores = sums.subarray(row * labels.count, (row + 1) * labels.count);
      codes[row] = one ? secondOfTwo(scores, ids[0]!, base.at(-1) ?? 0, positive, post) : firstBest(scores, post);
    }
    return [labels.pick(codes), make('float', [rows, labels.count], (at) => sums[at]!)];
  };
};

function secondOfTwo(scores: Float64Array, id: number, base: number, positive: boolean, post: string): number {
  const score = scores[id]! + base;
  if (positive && post === 'NONE') {
    scores[0] = 1 - score;
    scores[1] = score;
    return Number(score > 0.5);
  }
  scores[0] = post === 'LOGISTIC' ? sigmoid(-score) : -score;
  scores[1] = post === 'LOGISTIC' ? sigmoid(score) : score;
  return Number(score > (positive ? 0.5 : 0));
}

function firstBest(scores: Float64Array, post: string): number {
  let place = 0;
  for (let k = 1; k < scores.length; k++) if (scores[k]! > scores[place]!) place = k;
  transformed(scores, post);
  return place;
}

/** Coefficients are [outputs × columns]. */
function linearScores(node: Node, outputs: number, given: Numbers): Float64Array {
  const weights = numberList(node, 'coefficients') ?? [];
  const intercepts = numberList(node, 'intercepts') ?? [];
  const { rows, width } = rowsOf(given);
  if (weights.length !== outputs * width) refuse(`it has ${weights.length} weights for ${outputs} outputs of ${width} columns`);
  return Float64Array.from({ length: rows * outputs }, (_, at) => {
    const [row, k] = [Math.floor(at / outputs), at % outputs];
    let sum = intercepts[k] ?? 0;
    for (let column = 0; column < width; column++) sum += given.values[row * width + column]! * weights[k * width + column]!;
    return sum;
  });
}

const linearRegressor: Operator = (node) => (inputs) => {
  const outputs = integer(node, 'targets', 1);
  return [finished(linearScores(node, outputs, numbers(inputs[0])), outputs, word(node, 'post_transform', 'NONE'), 'float')];
};

const linearClassifier: Operator = (node) => {
  const labels = labelsOf(node);
  const intercepts = numberList(node, 'intercepts') ?? [];
  const post = word(node, 'post_transform', 'NONE');
  const one = labels.count === 2 && intercepts.length === 1;
  return (inputs) => {
    const given = numbers(inputs[0]);
    const found = linearScores(node, one ? 1 : labels.count, given);
    const scores = one ? Float64Array.from({ length: found.length * 2 }, (_, at) => (at % 2 === 1 ? found[at >> 1]! : 0)) : found;
    const rows = scores.length / labels.count;
    const codes = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const own = scores.subarray(row * labels.count, (row + 1) * labels.count);
      codes[row] = one ? secondOfTwo(own, 1, 0, false, post) : firstBest(own, post);
    }
    return [labels.pick(codes), make('float', [rows, labels.count], (at) => scores[at]!)];
  };
};

const learned: Readonly<Record<string, Operator>> = {
  ArrayFeatureExtractor: arrayFeatureExtractor,
  Binarizer: binarizer,
  FeatureVectorizer: featureVectorizer,
  Imputer: imputer,
  LabelEncoder: labelEncoder,
  LinearClassifier: linearClassifier,
  LinearRegressor: linearRegressor,
  Normalizer: normalizer,
  OneHotEncoder: oneHotEncoder,
  Scaler: scaler,
  TreeEnsemble: treeEnsemble,
  TreeEnsembleClassifier: treeClassifier,
  TreeEnsembleRegressor: treeRegressor,
  // A map of label to probability in other runtimes: here the probabilities stay a matrix.
  ZipMap: same,
};
