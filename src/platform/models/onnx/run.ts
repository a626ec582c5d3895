/** Runs a graph: the operators once chosen and checked, then rows in, rows out. Pure arithmetic; no loops, so every run ends. */
import { fail } from '#core';
import type { Graph, Tensor } from './graph.ts';
import { prepare } from './operators.ts';

export type Values = Readonly<Record<string, Tensor>>;

/** Errors: MODEL_ONNX for an operator that is not known here, an input that nothing gives, shapes that don't fit (when it runs). */
export function runnerOf(graph: Graph): (inputs: Values) => Values {
  const known = new Set([...Object.keys(graph.constants), ...graph.inputs.map(({ name }) => name)]);
  const steps = graph.nodes.map((node) => {
    const missing = node.inputs.find((input) => input !== '' && !known.has(input));
    if (missing !== undefined) fail('MODEL_ONNX', { problem: `nothing gives "${missing.slice(0, 50)}", which ${node.op} takes` });
    for (const output of node.outputs) known.add(output);
    return { node, run: prepare(node, graph.opsets[node.domain] ?? 1) };
  });
  const absent = graph.outputs.find(({ name }) => !known.has(name));
  if (absent !== undefined) fail('MODEL_ONNX', { problem: `nothing gives its output "${absent.name.slice(0, 50)}"` });
  return (inputs) => {
    const values: Record<string, Tensor> = { ...graph.constants, ...inputs };
    for (const { node, run } of steps) {
      const given = node.inputs.map((input) => values[input]);
      const made = run(given);
      node.outputs.forEach((output, k) => {
        if (output !== '' && made[k] !== undefined) values[output] = made[k];
      });
    }
    return values;
  };
}
