import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fail, type Option, type Transfer } from '#core';
import type { Connection, Opened, Source } from './source.ts';
import { sources } from './sources/index.ts';

export interface World {
  /** Where relative paths stand: the workspace. */
  readonly folder: string;
  /** May files lie outside of the folder? Only where the one who asks could read them anyway. */
  readonly anywhere: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Errors: TRANSFER_OPTION. */
export function sourceOf(name: string): Source {
  const found = sources.find((source) => source.name === name);
  return (
    found ??
    fail('TRANSFER_OPTION', { source: name, option: 'source', problem: `there are ${sources.map((source) => source.name).join(', ')}` })
  );
}

/** Opens the transfer's source. Errors: TRANSFER_OPTION, TRANSFER_SECRET, TRANSFER_CONNECT, TRANSFER_DENIED, TRANSFER_FILE, TRANSFER_PATH. */
export async function openSource({ source, connection }: Pick<Transfer, 'source' | 'connection'>, world: World): Promise<Opened> {
  const entry = sourceOf(source);
  return entry.open(checked(entry, connection, world), world);
}

function checked(source: Source, given: Transfer['connection'], world: World): Connection {
  const names = source.options.map((option) => option.name);
  for (const name of Object.keys(given)) {
    if (!names.includes(name))
      fail('TRANSFER_OPTION', { source: source.name, option: name, problem: `it is unknown; there are ${names.join(', ')}` });
  }
  return Object.fromEntries(source.options.map((option) => [option.name, optionValue(source, option, given[option.name], world)]));
}

function optionValue(source: Source, option: Option, given: Transfer['connection'][string] | undefined, world: World): Connection[string] {
  const refuse = (problem: string) => fail('TRANSFER_OPTION', { source: source.name, option: option.name, problem });
  if (given === undefined) {
    if (option.required === true) refuse('it is missing');
    return option.default ?? null;
  }
  if (option.secret === true && typeof given !== 'object') refuse('a secret is given by reference: { env: NAME } or { file: PATH }');
  const value = typeof given === 'object' ? secret(option.name, given, world) : given;
  switch (option.type) {
    case 'integer':
      return Number.isSafeInteger(Number(value)) ? Number(value) : refuse('it is a whole number');
    case 'boolean':
      return typeof value === 'boolean' ? value : refuse('it is true or false');
    case 'choice':
      return option.choices!.includes(String(value)) ? String(value) : refuse(`it is one of ${option.choices!.join(', ')}`);
    default:
      return String(value);
  }
}

function secret(option: string, reference: { readonly env: string } | { readonly file: string }, { folder, env }: World): string {
  if ('env' in reference) {
    return (
      env[reference.env] ?? fail('TRANSFER_SECRET', { option, from: `the environment variable ${reference.env}`, problem: 'it is not set' })
    );
  }
  try {
    return readFileSync(resolve(folder, reference.file), 'utf8').replace(/\r?\n$/, '');
  } catch (thrown) {
    return fail(
      'TRANSFER_SECRET',
      { option, from: `the file ${reference.file}`, problem: (thrown as NodeJS.ErrnoException).code ?? '' },
      thrown,
    );
  }
}
