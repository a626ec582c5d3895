import type { Millis, Position } from '#core';

/** How far each topic's records have come: durable in the log, delivered to the warehouse, and how old the oldest between the two is. */
export interface Flow {
  durable(topic: string, to: Position, now?: Millis): void;
  delivered(topic: string, to: Position): void;
  topics(): Record<string, { durable: Position; delivered: Position }>;
  /** Age in ms of the oldest record that is durable but not delivered; 0 when there is none. */
  lag(topic: string, now?: Millis): Millis;
}

/** Marks are at most this many per topic: while delivery stands still, only the oldest matters. */
const MARKS = 1000;

export function newFlow(): Flow {
  const flows = new Map<string, { durable: Position; delivered: Position; marks: { to: Position; at: Millis }[] }>();
  const of = (topic: string) => {
    let flow = flows.get(topic);
    if (flow === undefined) flows.set(topic, (flow = { durable: 0, delivered: 0, marks: [] }));
    return flow;
  };
  return {
    durable(topic, to, now = Date.now()) {
      const flow = of(topic);
      if (to <= flow.durable) return;
      flow.durable = to;
      if (to > flow.delivered && flow.marks.length < MARKS) flow.marks.push({ to, at: now });
    },
    delivered(topic, to) {
      const flow = of(topic);
      flow.delivered = Math.max(flow.delivered, to);
      flow.marks = flow.marks.filter((mark) => mark.to > flow.delivered);
    },
    topics: () => Object.fromEntries([...flows].map(([topic, { durable, delivered }]) => [topic, { durable, delivered }])),
    lag(topic, now = Date.now()) {
      const flow = flows.get(topic);
      if (flow === undefined || flow.delivered >= flow.durable) return 0;
      return Math.max(1, now - (flow.marks[0]?.at ?? now));
    },
  };
}
