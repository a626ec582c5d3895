/** Draws one picture and ends: the engine would hold up the intake, and keep its memory, in the thread that serves. */
import { parentPort } from 'node:worker_threads';
import { MillraceError } from '#core';
import { draw, ink, loadEngine, withMarks } from '#visualize';
import type { Asked, Drawn } from './picture.ts';

parentPort!.once('message', async ({ spec, data, marks, look }: Asked) => {
  parentPort!.postMessage(await drawn());

  async function drawn(): Promise<Drawn> {
    try {
      const picture = withMarks(draw(spec, data, look), marks, look);
      if (picture.kind !== 'option') return { svg: null };
      const { svg } = await loadEngine();
      return { svg: svg({ ...picture.option, backgroundColor: ink(look).ground }, look) };
    } catch (thrown) {
      if (thrown instanceof MillraceError) return { error: thrown.body };
      throw thrown;
    }
  }
});
