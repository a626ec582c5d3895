/** onnxruntime, where the machine has it: its own Python packages, never a dependency of the program. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cell } from '#analyze';

const PYTHON = process.env['MILLRACE_PYTHON'] ?? 'python3';
export const withoutRuntime: string | false =
  spawnSync(PYTHON, ['-c', 'import onnxruntime, numpy']).status === 0 ? false : 'onnxruntime is absent (MILLRACE_PYTHON)';

/** What onnxruntime answers: a program of its own, in another language, on the same bytes. */
const RUNTIME = `
import json, sys, numpy as np, onnxruntime
folder = sys.argv[1]
case = json.load(open(folder + '/case.json'))
session = onnxruntime.InferenceSession(folder + '/model.onnx', providers=['CPUExecutionProvider'])
feeds = {}
for given in session.get_inputs():
    cells = case['columns'][given.name]
    feeds[given.name] = (np.array(['' if c is None else c.strip() for c in cells], dtype=object) if 'string' in given.type
                         else np.array([np.nan if c is None else c for c in cells], dtype=float)).reshape(-1, 1)
outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
got = outputs.get('probabilities', outputs.get('prediction'))
expected = np.array(case['answers'])
print(json.dumps({'shape': list(got.shape), 'worst': float((np.abs(got - expected) / np.maximum(1, np.abs(expected))).max())}))
`;

/** The worst difference is relative to answers above 1. */
export function inRuntime(
  bytes: Uint8Array,
  rows: readonly Readonly<Record<string, Cell>>[],
  answers: readonly (readonly number[])[],
): { shape: number[]; worst: number } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-onnx-'));
  try {
    writeFileSync(join(folder, 'model.onnx'), bytes);
    const columns = Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]));
    writeFileSync(join(folder, 'case.json'), JSON.stringify({ columns, answers }));
    const run = spawnSync(PYTHON, ['-c', RUNTIME, folder], { encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.equal(run.status, 0, run.stderr);
    return JSON.parse(run.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
