import type { Option } from '#core';
import type { Command, Positional } from './command.ts';
import { valueWord } from './parse.ts';

/** `millrace sql [STATEMENT|-] [options]` */
export function usageLine(command: Command): string {
  const words = (command.positionals ?? []).map(positionalWord);
  return ['millrace', command.name, ...words, ...(command.options.length > 0 ? ['[options]'] : [])].join(' ');
}

/** What `millrace COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  const positionals = (command.positionals ?? []).map((positional) => [positional.name, positionalText(positional)] as const);
  const options = command.options.map((option) => [`--${option.name} ${valueWord(option)}`.trimEnd(), optionText(option)] as const);
  return [
    command.summary,
    '',
    `  ${usageLine(command)}`,
    ...section(positionals),
    ...section(options),
    ...(command.usage ? ['', command.usage] : []),
    '',
  ].join('\n');
}

/** What `millrace help` prints. */
export function overview(commands: readonly Command[]): string {
  return [
    'Millrace: from raw records to decisions and models, on your own machine.',
    '',
    '  millrace COMMAND [options]',
    ...section(commands.map((command) => [command.name, command.summary] as const)),
    '',
    '"millrace COMMAND --help" says more about one of them.',
    '',
  ].join('\n');
}

/** The text of docs/cli.md: written by `npm run docs`, held by a test. */
export function reference(commands: readonly Command[]): string {
  return [
    '# Commands',
    '',
    'Written by `npm run docs` from the descriptions in `src/cli/commands/`; edit those.',
    'A usage error ends with exit code 2, any other error with 1, and prints its code, what happened and what to do.',
    '',
    ...commands.flatMap(referenceOf),
  ].join('\n');
}

function referenceOf(command: Command): string[] {
  const positionals = (command.positionals ?? []).map((one) => [`\`${one.name}\``, positionalText(one)]);
  const options = command.options.map((one) => [`\`--${one.name}${valueWord(one) ? ` ${valueWord(one)}` : ''}\``, optionText(one)]);
  const rows = [...positionals, ...options].map(([name, text]) => `| ${escaped(name!)} | ${escaped(text!)} |`);
  return [
    `## millrace ${command.name}`,
    '',
    command.summary,
    '',
    '```sh',
    usageLine(command),
    '```',
    '',
    ...(rows.length > 0 ? ['| word | meaning |', '|---|---|', ...rows, ''] : []),
    ...(command.usage ? ['```text', command.usage, '```', ''] : []),
  ];
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}

function section(rows: readonly (readonly [string, string])[]): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([name]) => name.length));
  return ['', ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)];
}

function positionalWord({ name, required, many, choices }: Positional): string {
  const word = `${choices ? choices.join('|') : name}${many ? '…' : ''}`;
  return required ? word : `[${word}]`;
}

function positionalText({ summary, choices }: Positional): string {
  return choices ? `${summary} One of ${choices.join(', ')}.` : summary;
}

function optionText({ summary, default: fallback, required }: Option): string {
  if (required) return `${summary} Required.`;
  return fallback === undefined || fallback === null || fallback === false ? summary : `${summary} (default: ${fallback})`;
}
