/** An ONNX model as plain data: what is written to a file, read from one, and run. Numbers of integer types are doubles here: exact to 2^53. */

export type ElementType = 'float' | 'double' | 'int64' | 'int32' | 'uint8' | 'bool' | 'string';

/** ONNX's numbers of the types (TensorProto.DataType). */
export const typeNumbers: Readonly<Record<ElementType, number>> = {
  float: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  double: 11,
};

/** `values` are in row-major order; a float is a Float32Array, so that arithmetic rounds as it does elsewhere. */
export type Tensor =
  | { readonly type: 'string'; readonly dims: readonly number[]; readonly values: readonly string[] }
  | { readonly type: 'float'; readonly dims: readonly number[]; readonly values: Float32Array }
  | { readonly type: Exclude<ElementType, 'string' | 'float'>; readonly dims: readonly number[]; readonly values: Float64Array };

export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'texts'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor };

export interface Node {
  readonly op: string;
  /** '' for ONNX's own, 'ai.onnx.ml' for its trees and encoders. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A dimension without a fixed length is null. */
export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly (number | null)[];
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly constants: Readonly<Record<string, Tensor>>;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** By domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly notes: Readonly<Record<string, string>>;
}

export const ML = 'ai.onnx.ml';

export const doubles = (dims: readonly number[], values: ArrayLike<number>): Tensor => ({
  type: 'double',
  dims,
  values: Float64Array.from(values),
});

export const integers = (dims: readonly number[], values: ArrayLike<number>): Tensor => ({
  type: 'int64',
  dims,
  values: Float64Array.from(values),
});

export const texts = (values: readonly string[]): Tensor => ({ type: 'string', dims: [values.length], values });

export const sizeOf = (dims: readonly number[]): number => dims.reduce((size, length) => size * length, 1);
