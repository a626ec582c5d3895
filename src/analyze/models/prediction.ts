/** What a prediction is in SQL: its columns, over the numbers that a model answers. */
import { quoteLiteral } from '#sql';
import { type Asked, misfit } from './asked.ts';
import { decide } from './judge.ts';
import type { ModelFile } from './model.ts';

export function thresholdOf(asked: Pick<Asked, 'call' | 'file'>): number {
  const value = asked.call.settings['threshold'] ?? 0.5;
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) return misfit(asked, `the threshold ${String(value)} is not from 0 to 1`);
  if (value !== 0.5 && asked.file.model.classes?.length !== 2) misfit(asked, 'a threshold needs two classes');
  return value;
}

/** Labels as the target's column had them. */
function labelType(file: ModelFile): string {
  if (file.model.classes === null) return 'DOUBLE';
  return file.model.targetKind === 'text' ? 'VARCHAR' : file.target.type;
}

/** What the number `predicted` means: the value, or the label of the class that it counts. */
export function predictedAs(file: ModelFile, predicted = 'p.predicted'): string {
  const { classes } = file.model;
  if (classes === null) return predicted;
  return `[${classes.map((label) => `${quoteLiteral(label)}::${labelType(file)}`).join(', ')}][${predicted}::BIGINT + 1]`;
}

/** The columns of a prediction, over the value or the number of its class, and the probabilities of the classes. */
export function predictionSql(file: ModelFile, predicted: string, chance: (k: number) => string): { name: string; sql: string }[] {
  const { classes, target } = file.model;
  const own = [{ name: `predicted_${target}`, sql: predictedAs(file, predicted) }];
  if (classes === null) return own;
  const list = classes.map((label, k) => `{'label': ${quoteLiteral(label)}::${labelType(file)}, 'prob': ${chance(k)}}`);
  return [...own, { name: `predicted_${target}_probs`, sql: `[${list.join(', ')}]` }];
}

/** The number of the class of each row. */
export function classCodes(answers: Float64Array, width: number, threshold: number): Float64Array {
  const codes = new Float64Array(answers.length / width);
  for (let row = 0; row < codes.length; row++) codes[row] = decide(answers, row * width, width, threshold);
  return codes;
}
