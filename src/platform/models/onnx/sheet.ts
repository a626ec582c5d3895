/** A graph that is being written: nodes in their order, names made as they are needed. */
import { type Attribute, doubles, type Node, type Tensor } from './graph.ts';

export interface Sheet {
  readonly nodes: Node[];
  readonly constants: Record<string, Tensor>;
  constant(tensor: Tensor): string;
  /** Appends a node with one output and names that. */
  op(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>, domain?: string, output?: string): string;
}

export function newSheet(): Sheet {
  const nodes: Node[] = [];
  const constants: Record<string, Tensor> = {};
  let count = 0;
  return {
    nodes,
    constants,
    constant(tensor) {
      const name = `_c${++count}`;
      constants[name] = tensor;
      return name;
    },
    op(op, inputs, attributes = {}, domain = '', output = `_t${++count}`) {
      nodes.push({ op, domain, inputs, outputs: [output], attributes });
      return output;
    },
  };
}

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const tensor = (value: Tensor): Attribute => ({ kind: 'tensor', value });
export const number = (sheet: Sheet, value: number): string => sheet.constant(doubles([], [value]));
