/** The statements about models, as questions see them: what is done, and the rows that tell it. */
import { type Column, fail, type Principal } from '#core';
import type { Statement } from '#sql';
import { isContribution } from './insights.ts';
import { type Creating, type Models, toldOf } from './models.ts';
import { spelledAs } from './registry.ts';

interface Told {
  readonly columns: Column[];
  readonly rows: (string | number | null)[][];
}

/** Null for statements about something else. Errors: MODEL_*, LEARN_*. */
export async function modelStatement(
  models: Models,
  statement: Statement,
  who: Principal,
  asked: Omit<Creating, 'who'>,
): Promise<Told | null> {
  switch (statement.kind) {
    case 'create_model': {
      if (isContribution(statement))
        return (await models.analyse(statement, { ...asked, who: who.name })) ?? { columns: texts('model'), rows: [[null]] };
      const created = await models.create(statement, { ...asked, who: who.name });
      return created === null ? { columns: texts('model'), rows: [[null]] } : toldOf(created);
    }
    case 'drop_model':
      await models.drop(statement);
      return { columns: texts('statement', 'model'), rows: [[statement.kind, spelledAs({ ...statement, version: null })]] };
    case 'alter_model': {
      const entry = await models.alter(statement, who.name);
      return { columns: texts('statement', 'model'), rows: [[statement.kind, entry?.name ?? null]] };
    }
    case 'export_model': {
      const { format = 'ONNX', uri, overwrite = false, ...rest } = statement.options;
      const refuse = (option: string, problem: string): never => fail('MODEL_OPTION', { option, problem });
      if (typeof uri !== 'string') return refuse('uri', 'names the file to write, below the workspace’s folder models');
      if (typeof overwrite !== 'boolean') return refuse('overwrite', 'is TRUE or FALSE');
      for (const option of Object.keys(rest)) refuse(option, 'is not known; there are uri, format and overwrite');
      const written = await models.export(spelledAs(statement), String(format).toLowerCase(), uri, overwrite);
      return {
        columns: [...texts('statement', 'model', 'file'), { name: 'bytes', type: 'BIGINT' }],
        rows: [[statement.kind, spelledAs(statement), written.path, written.bytes]],
      };
    }
    default:
      return null;
  }
}

const texts = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'VARCHAR' }));
