// A reporter for node --test: one line a file, and for a failing test what explains it. The counts go to the file MILLRACE_COUNTS.
import { writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';

const tail = 4000;

export default async function* reporter(events) {
  const said = new Map();
  const failing = new Set();
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      // Here the file is named as on the command line, in the other events by its whole path.
      const file = resolve(data.file);
      said.set(file, `${said.get(file) ?? ''}${data.message}`.slice(-tail));
    }
    if (type === 'test:fail' && data.todo === undefined) {
      failing.add(data.file);
      const { failureType, exitCode, signal } = data.details.error ?? {};
      // That a group failed is said by its tests; that a file did, only by what it wrote and how it ended.
      if (resolve(data.name) === data.file) said.set(data.file, `${said.get(data.file) ?? ''}(exit code ${exitCode}, signal ${signal})`);
      else if (failureType !== 'subtestsFailed') yield failure(data);
    }
    if (type === 'test:summary' && data.file !== undefined) yield fileLine(data);
    if (type === 'test:summary' && data.file === undefined) {
      for (const file of failing) yield `\n✗ ${relative(process.cwd(), file)} wrote:\n${indented(said.get(file) ?? 'nothing')}\n`;
      writeFileSync(process.env.MILLRACE_COUNTS, JSON.stringify(data.counts));
    }
  }
}

function failure({ name, file, line, details }) {
  const cause = details.error?.cause ?? details.error;
  const explained = typeof cause === 'string' ? cause : (cause?.stack ?? String(cause));
  const told = explained.replace(/^\s+at .*\(?node:internal.*\n?/gm, '').trimEnd();
  return `\n✗ ${name}\n  ${relative(process.cwd(), file ?? '')}:${line ?? '?'}\n${indented(told)}\n\n`;
}

function fileLine({ file, counts, duration_ms, success }) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  const failed = counts.tests - counts.passed - counts.skipped - counts.todo;
  const result = `${success ? '✓' : '✗'} ${relative(process.cwd(), file)}  ${counts.passed} passed${failed > 0 ? `, ${failed} failed` : ''}${skipped}`;
  return `${result}  ${(duration_ms / 1000).toFixed(1)} s\n`;
}

function indented(text) {
  return text.replace(/^/gm, '    ').trimEnd();
}
