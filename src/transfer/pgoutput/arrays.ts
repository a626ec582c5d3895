import { fail } from '#core';

/**
 * PostgreSQL's text of an array as JSON, spelled as to_json spells it, since a whole copy is read by that. `plain`: the elements are numbers
 * or truth values and stand without quotes (t and f become true and false).
 */
export function arrayToJson(text: string, plain: boolean): string {
  // Bounds that do not begin at one stand before the array.
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0;
  const out: string[] = [];
  const refuse = () => fail('TRANSFER_READ', { table: 'the changes', problem: 'an array ends early' });
  const element = (value: string, quoted: boolean): string => {
    if (!quoted && value === 'NULL') return 'null';
    if (!plain) return JSON.stringify(value);
    if (value === 't' || value === 'f') return value === 't' ? 'true' : 'false';
    return /^-?(NaN|Infinity)$/.test(value) ? JSON.stringify(value) : value;
  };
  for (; at < text.length; ) {
    const char = text[at]!;
    if (char === '{' || char === '}' || char === ',') {
      out.push(char === '{' ? '[' : char === '}' ? ']' : ',');
      at++;
    } else if (char === '"') {
      let value = '';
      for (at++; text[at] !== '"'; at++) {
        if (text[at] === '\\') at++;
        value += text[at] ?? refuse();
      }
      at++;
      out.push(element(value, true));
    } else {
      let end = at;
      while (end < text.length && !',{}'.includes(text[end]!)) end++;
      out.push(element(text.slice(at, end), false));
      at = end;
    }
  }
  return out.join('');
}
