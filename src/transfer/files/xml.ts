/** The XML of office files as a stream of tags and texts (XML 1.0, 5th edition). No document types: what they can declare is only used to attack. */
import { type Bytes, fail } from '#core';

export interface XmlHandler {
  /** Names come without their namespace's prefix. */
  open(name: string, attributes: () => Readonly<Record<string, string>>): void;
  close(name: string): void;
  text(text: string): void;
}

const LONGEST_TAG: Bytes = 1024 * 1024;
const TAG = /[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>/y;
const ATTRIBUTE = /(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

/** `pause` is asked between chunks: false ends the reading. Errors: TRANSFER_FILE. */
export async function readXml(
  chunks: AsyncIterable<Buffer>,
  file: string,
  handler: XmlHandler,
  pause: () => boolean | Promise<boolean>,
): Promise<void> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  for await (const chunk of chunks) {
    rest = tags(rest + decoder.decode(chunk, { stream: true }), handler, file);
    if (rest.length > LONGEST_TAG) damaged(file, 'a tag has more than 1 MiB');
    if (!(await pause())) return;
  }
  if (tags(rest + decoder.decode(), handler, file).trim() !== '') damaged(file, 'its XML is cut off');
}

function damaged(file: string, problem: string): never {
  return fail('TRANSFER_FILE', { file, format: 'xlsx', problem });
}

/** Gives what is left of a tag that has not ended. */
function tags(xml: string, handler: XmlHandler, file: string): string {
  let at = 0;
  for (;;) {
    const begin = xml.indexOf('<', at);
    if (begin < 0) {
      // A reference that is cut is kept for the next chunk.
      const cut = xml.lastIndexOf('&');
      const end = cut >= at && xml.indexOf(';', cut) < 0 ? cut : xml.length;
      if (end > at) handler.text(decoded(xml.slice(at, end)));
      return xml.slice(end);
    }
    if (begin > at) handler.text(decoded(xml.slice(at, begin)));
    const special = xml[begin + 1] === '!' || xml[begin + 1] === '?' ? specialEnd(xml, begin, handler, file) : 0;
    if (special < 0) return xml.slice(begin);
    if (special > 0) {
      at = special;
      continue;
    }
    TAG.lastIndex = begin + 1;
    if (!TAG.test(xml)) return xml.slice(begin);
    at = TAG.lastIndex;
    tag(xml.slice(begin + 1, at - 1), handler);
  }
}

/** Where a comment, an instruction or CDATA ends; -1 where it does not yet. */
function specialEnd(xml: string, begin: number, handler: XmlHandler, file: string): number {
  const after = (end: string, from: number) => {
    const at = xml.indexOf(end, from);
    return at < 0 ? -1 : at + end.length;
  };
  if (xml[begin + 1] === '?') return after('?>', begin + 2);
  const head = xml.slice(begin, begin + 9);
  if (head.startsWith('<!--')) return after('-->', begin + 4);
  if (head === '<![CDATA[') {
    const end = after(']]>', begin + 9);
    if (end > 0) handler.text(xml.slice(begin + 9, end - 3));
    return end;
  }
  if (head.length < 9) return -1;
  return damaged(file, 'its XML declares a document type');
}

function tag(inside: string, handler: XmlHandler): void {
  if (inside[0] === '/') {
    handler.close(local(inside.slice(1).trim()));
    return;
  }
  const selfClosing = inside.endsWith('/');
  const name = /^\S+?(?=[\s/]|$)/.exec(inside)?.[0] ?? '';
  handler.open(local(name), () =>
    Object.fromEntries([...inside.matchAll(ATTRIBUTE)].map(([, key, double, single]) => [key!, decoded(double ?? single ?? '')])),
  );
  if (selfClosing) handler.close(local(name));
}

const local = (name: string): string => name.slice(name.indexOf(':') + 1);

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([\da-fA-F]{1,6})|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
