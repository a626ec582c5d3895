/** Opens the warehouse in the folder that is given, within that much memory, takes deliveries as they come, and waits to be killed. */
import { type Delivery, openStore } from '#store';
import { opening } from './fixture.ts';

const [path, memory] = process.argv.slice(2);
const store = await openStore({ ...opening(path!), ...(memory !== undefined && { memory: Number(memory) }) });
process.on('message', async (deliveries: readonly Delivery[]) => {
  await store.deliver(deliveries.map((delivery) => ({ ...delivery, lines: delivery.lines.map((line) => Buffer.from(line)) })));
  process.send!('delivered');
});
process.once('disconnect', () => process.exit(1));
process.send!('open');
