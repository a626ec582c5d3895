// A reporter for node --test: one line a file, and for a failing test what explains it. The counts go to the file MILLRACE_COUNTS.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

const tail = 4000;

export default async function* reporter(events) {
  const said = new Map();
  const failing = new Set();
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') said.set(data.file, `${said.get(data.file) ?? ''}${data.message}`.slice(-tail));
    if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed') {
      failing.add(data.file);
      yield failure(data);
    }
    if (type === 'test:summary' && data.file !== undefined) yield fileLine(data, failing.has(data.file) ? said.get(data.file) : undefined);
    if (type === 'test:summary' && data.file === undefined) writeFileSync(process.env.MILLRACE_COUNTS, JSON.stringify(data.counts));
  }
}

function failure({ name, file, line, details }) {
  const cause = details.error?.cause ?? details.error;
  const explained = typeof cause === 'string' ? cause : (cause?.stack ?? String(cause));
  const told = explained.replace(/^\s+at .*\(?node:internal.*\n?/gm, '').trimEnd();
  return `\n✗ ${name}\n  ${relative(process.cwd(), file ?? '')}:${line ?? '?'}\n${indented(told)}\n\n`;
}

function fileLine({ file, counts, duration_ms, success }, output) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  const failed = counts.tests - counts.passed - counts.skipped - counts.todo;
  const result = `${success ? '✓' : '✗'} ${relative(process.cwd(), file)}  ${counts.passed} passed${failed > 0 ? `, ${failed} failed` : ''}${skipped}`;
  return `${result}  ${(duration_ms / 1000).toFixed(1)} s\n${output ? `${indented(`What it wrote:\n${output}`)}\n` : ''}`;
}

function indented(text) {
  return text.replace(/^/gm, '    ');
}
