/** A model as ONNX, proven by its golden rows. */
import type { ModelFile } from '#analyze';
import { compareGolden } from '../golden.ts';
import { featureProblem } from './columns.ts';
import { readOnnx, writeOnnx } from './proto.ts';
import { runnerOf } from './run.ts';
import { hasOperators, onnxOf, onnxRows } from './write.ts';

/** Whether ONNX has operators for it. */
export function fitsOnnx(file: ModelFile): boolean {
  const { model, transform, features = [] } = file;
  if (transform !== null || model.format !== 'millrace-model') return false;
  if (features.some((feature) => featureProblem(file, feature) !== null)) return false;
  return hasOperators(model.learned) && model.encoders.every(({ kind }) => kind !== 'text');
}

/** The golden rows are answered from the very bytes, read again. MODEL_EXPORT, MODEL_GOLDEN. */
export function provenOnnx(file: ModelFile): Buffer {
  if (file.model.format === 'onnx') return Buffer.from(file.model.onnx, 'base64');
  const { graph, inputs } = onnxOf(file);
  const bytes = writeOnnx(graph, { producer: 'Millrace', doc: `${file.name}: predicts "${file.target.name}"` });
  replayOnnx(file, bytes, inputs);
  return bytes;
}

/** MODEL_GOLDEN where the bytes answer otherwise. */
export function replayOnnx(file: ModelFile, bytes: Uint8Array, inputs = onnxOf(file).inputs): void {
  const outputs = runnerOf(readOnnx(bytes))(onnxRows(inputs, file.golden.rows));
  const answers = outputs[file.model.classes === null ? 'prediction' : 'probabilities']!.values as ArrayLike<number>;
  const width = file.model.classes?.length ?? 1;
  compareGolden(
    file,
    'as exported ONNX',
    file.golden.rows.map((_, row) => Array.from({ length: width }, (_k, k) => answers[row * width + k]!)),
  );
}
