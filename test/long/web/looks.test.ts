import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Started, startMillrace } from '#server';
import { type Look, visit, withoutBrowser } from '../../web/browser.ts';
import { ready } from '../../web/server.ts';
import { fill, stories, train, withoutData } from '../../web/stories.ts';

const looks: readonly Look[] = (['en', 'ko'] as const).flatMap((language) =>
  (['light', 'dark'] as const).flatMap((scheme) => ([390, 1440] as const).map((width) => ({ language, scheme, width }))),
);

describe('every page in every look', { skip: withoutBrowser || withoutData }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-looks-'));
  let server: Started;
  before(async () => {
    await fill(join(folder, 'store'));
    server = await startMillrace({ workspace: join(folder, 'store'), log: null });
    await ready(server.address);
    await train(server.address, server.adminToken);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const look of looks) {
    for (const [name, story] of Object.entries(stories)) {
      test(`${name} in ${look.language}, ${look.scheme}, at ${look.width} px`, async (t) => {
        const visited = await visit(t, look);
        await visited.enter(server.address, server.adminToken);
        await story({ address: server.address, token: server.adminToken, look, visit: visited });
      });
    }
  }
});
