/** A call of an ML function with all that its answer is made of. */
import { type Column, fail } from '#core';
import type { Model } from '#learn';
import { name, type Reader } from '#store';
import type { Call } from './calls.ts';
import type { ModelFile, Workshop } from './model.ts';
import { type Scored, score, transformed } from './score.ts';

export interface Asked {
  readonly call: Call;
  readonly file: ModelFile;
  readonly reader: Reader;
  /** The rows of the call's table or query. */
  readonly input: { readonly table: string; readonly columns: readonly Column[] } | null;
  /** Another version of the same model, by its number or alias. MODEL_UNKNOWN, MODEL_FILE. */
  readonly version: (spelled: string) => ModelFile;
  /** The name that the answer must get. */
  readonly as: string;
  readonly workshop: Pick<Workshop, 'answerer' | 'features'>;
  /** Lets others run; throws when the question was cancelled. */
  readonly pause: () => Promise<void>;
}

export const misfit = ({ call, file }: Pick<Asked, 'call' | 'file'>, problem: string): never =>
  fail('MODEL_FUNCTION', { call: `ML.${call.name}`, model: file.name, problem });

export function trainedModel(asked: Pick<Asked, 'call' | 'file'>): Model {
  const { model } = asked.file;
  if (model.format === 'onnx') return misfit(asked, 'it was brought as an ONNX file, which says nothing of its parts');
  return model.format === 'clusters' ? misfit(asked, 'it has clusters; see ML.CENTROIDS') : model;
}

export async function* scoredInput(asked: Asked, withTruth: boolean, most?: number): AsyncGenerator<Scored> {
  const source = await transformed(asked.reader, asked.file, asked.input!.table);
  yield* score(asked.reader, asked.file, source, withTruth, asked.workshop.answerer, asked.pause, most);
}

/** Columns of the input that stay beside the answer; those of the same name give way. */
export function beside(asked: { readonly input: Pick<NonNullable<Asked['input']>, 'columns'> | null }, own: readonly string[]): string {
  const taken = asked.input!.columns.filter((column) => own.some((each) => each.toLowerCase() === column.name.toLowerCase()));
  const kept = asked.input!.columns.length > taken.length;
  return kept ? `, t.*${taken.length === 0 ? '' : ` EXCLUDE (${taken.map((column) => name(column.name)).join(', ')})`}` : '';
}
