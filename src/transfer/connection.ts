import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { fail, type Option, type Transfer } from '#core';
import { withDistinctNames } from './names.ts';
import type { Connection, Opened, Place, Source } from './source.ts';
import { sources } from './sources/index.ts';

/** `folder` is the workspace; `anywhere` only where the one who asks could read any file anyway. */
export interface World extends Place {
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
  return withDistinctNames(await entry.open(checked(entry, connection, world), world));
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

function secret(option: string, reference: { readonly env: string } | { readonly file: string }, world: World): string {
  const { folder, env } = world;
  checkReference(reference, world);
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

/** Errors: TRANSFER_FORBIDDEN for what millrace.yaml does not let definitions read. */
function checkReference(reference: { readonly env: string } | { readonly file: string }, { folder, rules }: World): void {
  if (rules === undefined) return;
  if ('env' in reference) {
    const { env } = reference;
    const listed = (name: string) => (name.endsWith('*') ? env.startsWith(name.slice(0, -1)) : env === name);
    if (env.startsWith('MILLRACE_') || rules.env?.some(listed) === false)
      fail('TRANSFER_FORBIDDEN', { from: `the environment variable ${env}` });
    return;
  }
  const real = realOf(resolve(folder, reference.file));
  const inside = (place: string) => {
    const way = relative(realOf(resolve(folder, place)), real);
    return way !== '' && !way.startsWith('..') && !isAbsolute(way);
  };
  if (!(rules.files ?? ['.']).some(inside) || inside('.millrace')) fail('TRANSFER_FORBIDDEN', { from: `the file ${reference.file}` });
}

/** A path without links; one that is not there as it is. */
function realOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
