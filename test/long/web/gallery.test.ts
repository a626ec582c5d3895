import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { MillraceError } from '#core';
import { charts, type Data, defaultLook, draw, loadEngine } from '#visualize';
import { gallery } from '../../visualize/gallery.ts';
import { visit, withoutBrowser } from '../../web/browser.ts';

const { svg } = await loadEngine();

/** Both engines' pictures of one result, as the words that stand in it and how many marks of each kind it has. */
interface Seen {
  readonly words: readonly string[];
  readonly marks: Readonly<Record<string, number>>;
}

/** Where letters end is the font's matter, so that a word may be cut sooner or later: its beginning is compared. */
function seen(picture: string): Seen {
  const words = [...picture.matchAll(/<text[^>]*>([\s\S]*?)<\/text>/g)].map(([, text]) =>
    text!.replace(/<[^>]*>/g, '').replace(/(…|\.\.\.)$/, ''),
  );
  const marks: Record<string, number> = {};
  for (const [, name] of picture.matchAll(/<(path|circle|rect|polygon|polyline|ellipse)\b/g)) marks[name!] = (marks[name!] ?? 0) + 1;
  return { words, marks };
}

function onServer(kind: string, data: Data): string | null {
  try {
    const picture = draw({ kind }, data);
    return picture.kind === 'option' ? svg(picture.option, defaultLook) : null;
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === 'CHART_SHAPE') return null;
    throw thrown;
  }
}

describe('the gallery', { skip: withoutBrowser }, () => {
  let page: Page;
  let end = async () => {};
  after(() => end());
  before(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-gallery-'));
    const source = fileURLToPath(new URL('../../../src/visualize', import.meta.url));
    const entry = join(folder, 'entry.ts');
    writeFileSync(
      entry,
      `import { draw } from '${source}/index.ts';\nimport { svg } from '${source}/engine.ts';\nObject.assign(globalThis, { draw, svg });\n`,
    );
    await build({
      configFile: fileURLToPath(new URL('../../../web/vite.config.js', import.meta.url)),
      root: folder,
      logLevel: 'error',
      define: { 'process.env.NODE_ENV': '"production"' },
      build: {
        outDir: join(folder, 'out'),
        emptyOutDir: false,
        lib: { entry, formats: ['iife'], name: 'gallery', fileName: () => 'gallery.js' },
      },
    });
    const script = readFileSync(join(folder, 'out', 'gallery.js'), 'utf8');
    rmSync(folder, { recursive: true });
    ({ page } = await visit({ after: (fn) => (end = fn) }, { language: 'en', scheme: 'light', width: 1440 }));
    await page.evaluate(script);
  });

  async function inBrowser(kind: string, data: Data): Promise<string> {
    return page.evaluate(
      ([its, result, look]) => {
        const { draw: picture, svg: print } = globalThis as unknown as { draw: typeof draw; svg: typeof svg };
        const made = picture({ kind: its }, result, look);
        return made.kind === 'option' ? print(made.option, look) : '';
      },
      [kind, data, defaultLook] as const,
    );
  }

  for (const { name } of charts) {
    test(`${name} is the same picture in the browser as on the server`, async () => {
      let compared = 0;
      for (const [title, data] of Object.entries(gallery)) {
        const here = onServer(name, data);
        if (here === null) continue;
        const [a, b] = [seen(here), seen(await inBrowser(name, data))];
        assert.deepEqual(b.marks, a.marks, `marks of ${title}`);
        // How many labels an axis has room for is the font's matter too.
        const [few, many] = a.words.length <= b.words.length ? [a.words, b.words] : [b.words, a.words];
        for (const word of few)
          assert.ok(
            many.some((other) => other.startsWith(word) || word.startsWith(other)),
            `${title}: "${word}" is not among ${many.join(' | ')}`,
          );
        assert.ok(few.length >= many.length / 2, `${title}: ${few.join(' | ')} beside ${many.join(' | ')}`);
        compared++;
      }
      assert.ok(compared > 0 || name === 'number' || name === 'table' || name === 'pivot', 'something was compared');
    });
  }
});
