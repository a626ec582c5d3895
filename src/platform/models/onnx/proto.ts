/** ONNX files: protocol buffers of onnx.proto3, written and read by hand. Field numbers are those of that file. */
import { fail } from '#core';
import { type Attribute, type ElementType, type Graph, type Node, type Port, sizeOf, type Tensor, typeNumbers } from './graph.ts';

/** Bytes of one message, field by field. */
class Writer {
  private readonly parts: Uint8Array[] = [];

  varint(field: number, value: number | bigint): this {
    return this.raw(varintBytes((field << 3) | 0)).raw(varintBytes(value));
  }

  bytes(field: number, bytes: Uint8Array): this {
    return this.raw(varintBytes((field << 3) | 2))
      .raw(varintBytes(bytes.length))
      .raw(bytes);
  }

  text(field: number, text: string): this {
    return this.bytes(field, Buffer.from(text, 'utf8'));
  }

  float(field: number, value: number): this {
    return this.raw(varintBytes((field << 3) | 5)).raw(new Uint8Array(Float32Array.of(value).buffer));
  }

  message(field: number, message: Writer): this {
    return this.bytes(field, message.done());
  }

  done(): Uint8Array {
    return Buffer.concat(this.parts);
  }

  private raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    return this;
  }
}

function varintBytes(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** The file of a graph. IR version 8 is read by every runtime since 2022. */
export function writeOnnx(graph: Graph, about: { producer: string; doc: string }): Buffer {
  const body = new Writer();
  for (const node of graph.nodes) body.message(1, nodeMessage(node));
  body.text(2, 'model');
  for (const [name, tensor] of Object.entries(graph.constants)) body.message(5, tensorMessage(tensor, name));
  for (const port of graph.inputs) body.message(11, portMessage(port));
  for (const port of graph.outputs) body.message(12, portMessage(port));
  const model = new Writer().varint(1, 8).text(2, about.producer).text(6, about.doc).message(7, body);
  for (const [domain, version] of Object.entries(graph.opsets)) model.message(8, new Writer().text(1, domain).varint(2, version));
  for (const [key, value] of Object.entries(graph.notes)) model.message(14, new Writer().text(1, key).text(2, value));
  return Buffer.from(model.done());
}

function nodeMessage({ op, domain, inputs, outputs, attributes }: Node): Writer {
  const message = new Writer();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(4, op).text(7, domain);
  for (const [name, attribute] of Object.entries(attributes)) message.message(5, attributeMessage(name, attribute));
  return message;
}

function attributeMessage(name: string, attribute: Attribute): Writer {
  const message = new Writer().text(1, name);
  switch (attribute.kind) {
    case 'float':
      return message.float(2, attribute.value).varint(20, 1);
    case 'int':
      return message.varint(3, attribute.value).varint(20, 2);
    case 'text':
      return message.text(4, attribute.value).varint(20, 3);
    case 'tensor':
      return message.message(5, tensorMessage(attribute.value, '')).varint(20, 4);
    case 'floats':
      return message.bytes(7, new Uint8Array(Float32Array.from(attribute.value).buffer)).varint(20, 6);
    case 'ints':
      return message.bytes(8, Buffer.concat(attribute.value.map(varintBytes))).varint(20, 7);
    case 'texts':
      for (const text of attribute.value) message.text(9, text);
      return message.varint(20, 8);
  }
}

function tensorMessage(tensor: Tensor, name: string): Writer {
  const message = new Writer().bytes(1, Buffer.concat(tensor.dims.map(varintBytes))).varint(2, typeNumbers[tensor.type]);
  if (tensor.type === 'string') for (const text of tensor.values) message.text(6, text);
  else message.bytes(9, rawOf(tensor));
  return name === '' ? message : message.text(8, name);
}

/** Little-endian bytes, as every platform we run on has them. */
function rawOf(tensor: Exclude<Tensor, { type: 'string' }>): Uint8Array {
  switch (tensor.type) {
    case 'float':
    case 'double':
      return new Uint8Array(tensor.values.buffer, tensor.values.byteOffset, tensor.values.byteLength);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(tensor.values, BigInt).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(tensor.values).buffer);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(tensor.values);
  }
}

function portMessage({ name, type, dims }: Port): Writer {
  const shape = new Writer();
  for (const length of dims) shape.message(1, length === null ? new Writer().text(2, 'rows') : new Writer().varint(1, length));
  const tensor = new Writer().varint(1, typeNumbers[type]).message(2, shape);
  return new Writer().text(1, name).message(2, new Writer().message(1, tensor));
}

/** One field of a message: a number (varint or fixed) or bytes. */
type Field = { readonly number: number; readonly value: bigint; readonly bytes: Uint8Array };

const broken = (problem: string): never => fail('MODEL_ONNX', { problem });
const NONE = new Uint8Array(0);

/** The fields of a message in their order; groups and lengths beyond its end are refused. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++] ?? broken('it ends in the middle of a number');
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    return broken('a number in it has no end');
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) broken('a part of it is longer than the file');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const number = Math.floor(key / 8);
    switch (key & 7) {
      case 0:
        yield { number, value: varint(), bytes: NONE };
        break;
      case 1:
        yield { number, value: 0n, bytes: take(8) };
        break;
      case 2:
        yield { number, value: 0n, bytes: take(Number(varint())) };
        break;
      case 5:
        yield { number, value: 0n, bytes: take(4) };
        break;
      default:
        broken('it is no protocol buffer');
    }
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const integerOf = (value: bigint): number => Number(BigInt.asIntN(64, value));
const all = (bytes: Uint8Array, number: number): Field[] => [...fieldsOf(bytes)].filter((field) => field.number === number);
const first = (bytes: Uint8Array, number: number): Field | undefined => all(bytes, number).at(-1);

/** Numbers of a repeated field, packed or not. */
function integersIn(fields: readonly Field[]): number[] {
  return fields.flatMap(({ value, bytes }) => {
    if (bytes === NONE) return [integerOf(value)];
    const found: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      let number = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes[at++] ?? broken('it ends in the middle of a number');
        number |= BigInt(byte & 127) << shift;
        if (byte < 128) break;
        if (shift > 63n) broken('a number in it has no end');
      }
      found.push(integerOf(number));
    }
    return found;
  });
}

function floatsIn(fields: readonly Field[]): number[] {
  return fields.flatMap(({ bytes }) => [...new Float32Array(aligned(bytes, 4))]);
}

/** A copy that begins where numbers of that width may. */
function aligned(bytes: Uint8Array, width: number): ArrayBuffer {
  return bytes.length % width === 0 ? new Uint8Array(bytes).buffer : broken('a tensor in it is cut');
}

/** The graph of a file. MODEL_ONNX where it is cut, no ONNX, or holds what is not read here (subgraphs, external data, other types). */
export function readOnnx(file: Uint8Array): Graph {
  const body = first(file, 7)?.bytes ?? broken('it has no graph');
  const constants: Record<string, Tensor> = {};
  for (const { bytes } of all(body, 5)) constants[textOf(first(bytes, 8)?.bytes ?? NONE)] = readTensor(bytes);
  const opsets = all(file, 8).map(
    ({ bytes }) => [textOf(first(bytes, 1)?.bytes ?? NONE), integerOf(first(bytes, 2)?.value ?? 0n)] as const,
  );
  const notes = all(file, 14).map(({ bytes }) => [textOf(first(bytes, 1)?.bytes ?? NONE), textOf(first(bytes, 2)?.bytes ?? NONE)] as const);
  const inputs = all(body, 11).map(({ bytes }) => readPort(bytes));
  return {
    nodes: all(body, 1).map(({ bytes }) => readNode(bytes)),
    constants,
    // Files of IR version 3 list their constants among the inputs.
    inputs: inputs.filter((port): port is Port => port !== null && !(port.name in constants)),
    outputs: all(body, 12)
      .map(({ bytes }) => readPort(bytes))
      .filter((port) => port !== null),
    opsets: Object.fromEntries(opsets),
    notes: Object.fromEntries(notes),
  };
}

function readNode(bytes: Uint8Array): Node {
  const domain = textOf(first(bytes, 7)?.bytes ?? NONE);
  return {
    op: textOf(first(bytes, 4)?.bytes ?? NONE),
    domain: domain === 'ai.onnx' ? '' : domain,
    inputs: all(bytes, 1).map((field) => textOf(field.bytes)),
    outputs: all(bytes, 2).map((field) => textOf(field.bytes)),
    attributes: Object.fromEntries(all(bytes, 5).map((field) => readAttribute(field.bytes))),
  };
}

function readAttribute(bytes: Uint8Array): [string, Attribute] {
  const name = textOf(first(bytes, 1)?.bytes ?? NONE);
  const kind = Number(first(bytes, 20)?.value ?? 0n);
  switch (kind) {
    case 1:
      return [name, { kind: 'float', value: floatsIn(all(bytes, 2)).at(-1) ?? 0 }];
    case 2:
      return [name, { kind: 'int', value: integerOf(first(bytes, 3)?.value ?? 0n) }];
    case 3:
      return [name, { kind: 'text', value: textOf(first(bytes, 4)?.bytes ?? NONE) }];
    case 4:
      return [name, { kind: 'tensor', value: readTensor(first(bytes, 5)?.bytes ?? NONE) }];
    case 6:
      return [name, { kind: 'floats', value: floatsIn(all(bytes, 7)) }];
    case 7:
      return [name, { kind: 'ints', value: integersIn(all(bytes, 8)) }];
    case 8:
      return [name, { kind: 'texts', value: all(bytes, 9).map((field) => textOf(field.bytes)) }];
    default:
      return broken(`the attribute "${name.slice(0, 50)}" is of a kind that is not read here (${kind})`);
  }
}

function typeOf(number: number): ElementType {
  const found = Object.entries(typeNumbers).find(([, each]) => each === number);
  return (found?.[0] as ElementType | undefined) ?? broken(`tensors of type ${number} are not read here`);
}

function readTensor(bytes: Uint8Array): Tensor {
  if (first(bytes, 14)?.value === 1n) broken('its numbers lie in another file');
  const dims = integersIn(all(bytes, 1));
  const type = typeOf(Number(first(bytes, 2)?.value ?? 0n));
  const size = sizeOf(dims);
  const raw = first(bytes, 9)?.bytes;
  const tensor: Tensor =
    type === 'string'
      ? { type, dims, values: all(bytes, 6).map((field) => textOf(field.bytes)) }
      : type === 'float'
        ? { type, dims, values: raw === undefined ? Float32Array.from(floatsIn(all(bytes, 4))) : new Float32Array(aligned(raw, 4)) }
        : { type, dims, values: Float64Array.from(raw === undefined ? unpackedNumbers(bytes, type) : numbersOf(raw, type)) };
  if (dims.some((length) => length < 0) || tensor.values.length !== size) broken('a tensor in it has not the size that it says');
  return tensor;
}

type Whole = Exclude<ElementType, 'string' | 'float'>;

function numbersOf(raw: Uint8Array, type: Whole): ArrayLike<number> {
  switch (type) {
    case 'double':
      return new Float64Array(aligned(raw, 8));
    case 'int64':
      return Float64Array.from(new BigInt64Array(aligned(raw, 8)), Number);
    case 'int32':
      return new Int32Array(aligned(raw, 4));
    default:
      return raw;
  }
}

function unpackedNumbers(bytes: Uint8Array, type: Whole): ArrayLike<number> {
  if (type === 'double') return Float64Array.from(all(bytes, 10).flatMap((field) => [...new Float64Array(aligned(field.bytes, 8))]));
  return integersIn(all(bytes, type === 'int64' ? 7 : 5));
}

/** Null for what is no tensor: the maps that scikit-learn's exports end in. */
function readPort(bytes: Uint8Array): Port | null {
  const name = textOf(first(bytes, 1)?.bytes ?? NONE);
  const tensor = first(first(bytes, 2)?.bytes ?? NONE, 1)?.bytes;
  if (tensor === undefined) return null;
  const shape = first(tensor, 2)?.bytes ?? NONE;
  const dims = all(shape, 1).map((field) => {
    const length = first(field.bytes, 1);
    return length === undefined ? null : integerOf(length.value);
  });
  return { name, type: typeOf(Number(first(tensor, 1)?.value ?? 0n)), dims };
}
