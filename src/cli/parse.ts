import { parseArgs } from 'node:util';
import { fail, nearest, type Option } from '#core';
import type { Command, Input, Positional } from './command.ts';

/** Every command understands it; `main` answers it before the rest is checked. */
export const helpOption: Option = { name: 'help', type: 'boolean', summary: 'Shows this help.' };

/**
 * The words after the command's name as checked input. `--name value`, `--name=value`, `--no-name` for booleans, `-h`, `--` ends the options;
 * lists may be repeated or, unless their values come one by one, separated by commas. Errors: OPTION_UNKNOWN (with a near name), OPTION_VALUE.
 */
export function parseInput(command: Command, words: readonly string[]): Input & { readonly help: boolean } {
  const described = [...command.options, helpOption];
  const { tokens } = parseArgs({
    args: words.map((word) => (word === '-h' ? '--help' : word)),
    options: Object.fromEntries(
      described.map(({ name, type }) => [name, { type: type === 'boolean' ? ('boolean' as const) : ('string' as const) }]),
    ),
    strict: false,
    allowNegative: true,
    allowPositionals: true,
    tokens: true,
  });
  const given: Record<string, unknown> = Object.create(null);
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { option, value } = read(described, token.rawName, token.value);
    given[option.name] = option.type === 'list' ? [...((given[option.name] as string[] | undefined) ?? []), ...(value as string[])] : value;
  }
  const help = given[helpOption.name] === true;
  if (!help) checkPositionals(command.positionals ?? [], positionals);
  return { options: help ? given : withDefaults(command.options, given), positionals, help };
}

function read(described: readonly Option[], rawName: string, text: string | undefined): { option: Option; value: unknown } {
  const name = rawName.replace(/^--?/, '');
  const positive = described.find((option) => option.name === name);
  const negative = described.find((option) => option.type === 'boolean' && `no-${option.name}` === name);
  const option = positive ?? negative;
  if (!option) {
    const near = nearest(
      name,
      described.map((one) => one.name),
    );
    fail('OPTION_UNKNOWN', { option: rawName, near: near && `--${near}` });
  }
  return { option, value: option.type === 'boolean' ? readFlag(option, positive !== undefined, text) : readValue(option, text) };
}

function readFlag(option: Option, positive: boolean, text: string | undefined): boolean {
  if (text === undefined) return positive;
  if (positive && (text === 'true' || text === 'false')) return text === 'true';
  return refuse(option, text, 'it is a switch and takes no value');
}

function readValue(option: Option, text: string | undefined): unknown {
  if (text === undefined) return refuse(option, 'empty', `a value must follow (${valueWord(option)})`);
  switch (option.type) {
    case 'integer':
      return /^[+-]?\d+$/.test(text) && Number.isSafeInteger(Number(text))
        ? Number(text)
        : refuse(option, text, 'a whole number is needed');
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : refuse(option, text, 'a number is needed');
    case 'choice':
      return option.choices?.includes(text) ? text : refuse(option, text, `it is one of ${option.choices?.join(', ')}`);
    case 'list':
      return option.oneByOne === true ? [text] : text.split(',').filter((part) => part !== '');
    default:
      return text;
  }
}

function withDefaults(options: readonly Option[], given: Record<string, unknown>): Record<string, unknown> {
  for (const option of options) {
    if (option.name in given) continue;
    if (option.required) refuse(option, 'absent', 'the command needs it');
    if (option.default !== undefined && option.default !== null) given[option.name] = option.default;
  }
  return given;
}

function checkPositionals(described: readonly Positional[], given: readonly string[]): void {
  for (const [at, { name, required, choices }] of described.entries()) {
    const value = given[at];
    if (value === undefined && required)
      fail('OPTION_VALUE', {
        option: name,
        value: 'absent',
        problem: choices ? `it is one of ${choices.join(', ')}` : 'the command needs it',
      });
    if (value !== undefined && choices && !choices.includes(value)) {
      const near = nearest(value, choices);
      fail('OPTION_VALUE', {
        option: name,
        value: `"${value}"`,
        problem: `it is one of ${choices.join(', ')}${near ? `; ${near} is near` : ''}`,
      });
    }
  }
  const extra = given[described.length];
  if (extra !== undefined && !described.at(-1)?.many)
    fail('OPTION_VALUE', { option: 'The command', value: `followed by "${extra}"`, problem: 'nothing more is expected there' });
}

function refuse(option: Option, value: string, problem: string): never {
  fail('OPTION_VALUE', { option: `--${option.name}`, value, problem });
}

/** What stands for an option's value in help texts; empty for a switch. */
export function valueWord(option: Option): string {
  switch (option.type) {
    case 'boolean':
      return '';
    case 'choice':
      return option.choices?.join('|') ?? 'CHOICE';
    case 'integer':
    case 'number':
      return 'N';
    case 'list':
      return option.oneByOne === true ? 'NAME=VALUE' : 'A,B,…';
    case 'text':
      return 'TEXT';
  }
}
