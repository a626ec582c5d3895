/** Opens the warehouse in the folder that is given, takes deliveries as they come, and waits to be killed. */
import { type Delivery, openStore } from '#store';
import { opening } from './fixture.ts';

const store = await openStore(opening(process.argv[2]!));
process.on('message', async (delivery: Delivery) => {
  await store.deliver([{ ...delivery, lines: delivery.lines.map((line) => Buffer.from(line)) }]);
  process.send!('delivered');
});
process.once('disconnect', () => process.exit(1));
process.send!('open');
