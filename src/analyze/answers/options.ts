import { fail, type Option } from '#core';
import type { AnswerKind, Given } from './kind.ts';

const LONGEST = 2000;

/** Given options as checked, typed values; text is taken for any type, as it comes from a command line. Errors: ANSWER_OPTION. */
export function checkOptions(answer: AnswerKind, given: Readonly<Record<string, unknown>>): Given {
  const refuse = (option: string, problem: string): never => fail('ANSWER_OPTION', { answer: answer.name, option, problem });
  for (const name of Object.keys(given)) {
    if (answer.options.some((option) => option.name === name)) continue;
    refuse(name.slice(0, 100), `there are ${answer.options.map((option) => option.name).join(', ')}`);
  }
  const checked: Record<string, Given[string]> = Object.create(null);
  for (const option of answer.options) {
    const value = given[option.name] ?? null;
    if (value === null && option.required) refuse(option.name, 'it must be given');
    checked[option.name] = value === null ? defaultOf(option) : read(option, value, (problem) => refuse(option.name, problem));
  }
  return checked;
}

function defaultOf(option: Option): Given[string] {
  const value = option.default ?? null;
  return option.type === 'list' ? listOf(String(value ?? '')) : value;
}

function read(option: Option, value: unknown, refuse: (problem: string) => never): Given[string] {
  if (Array.isArray(value)) {
    const texts = value.every((item) => typeof item === 'string') ? (value as string[]) : refuse('its items must be texts');
    return option.type === 'list' ? texts : refuse('it takes one value');
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    return refuse('it must be text, a number or true/false');
  const text = String(value);
  if (text.length > LONGEST || !text.isWellFormed() || text.includes('\0')) refuse(`it must be text of at most ${LONGEST} characters`);
  switch (option.type) {
    case 'integer':
      return /^\d{1,9}$/.test(text) ? Number(text) : refuse(`"${text.slice(0, 50)}" is not a whole number from 0`);
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : refuse(`"${text.slice(0, 50)}" is not a number`);
    case 'boolean':
      return text === 'true' || text === 'false' ? text === 'true' : refuse('it is true or false');
    case 'choice':
      return option.choices?.includes(text) ? text : refuse(`it is one of ${option.choices?.join(', ')}`);
    case 'list':
      return listOf(text);
    case 'text':
      return text === '' ? refuse('it is empty') : text;
  }
}

const listOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "30m", "7d" as whole seconds. Errors: ANSWER_OPTION. */
export function secondsOf(answer: string, option: string, text: string): number {
  const match = /^(\d{1,6})(s|m|h|d)$/.exec(text);
  const seconds = match === null ? 0 : Number(match[1]) * units[match[2]!]!;
  return seconds > 0 ? seconds : fail('ANSWER_OPTION', { answer, option, problem: `"${text}" is not a duration such as 30m, 24h or 7d` });
}
