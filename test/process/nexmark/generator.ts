/**
 * Events of an auction house after the description of Nexmark (Tucker et al. 2002) in the shape that Apache Beam's and the
 * nexmark project's generators gave it: of 50 events 1 is a person, 3 are auctions, 46 are bids; hot items, sellers and bidders
 * take a fixed share of the traffic; prices are 10^(6u) dollars in cents. Deterministic in the seed.
 */
import type { Topic } from '#core';
import { randomFrom } from '../../random.ts';

export interface NexmarkEvent {
  readonly topic: 'person' | 'auction' | 'bid';
  readonly id: string;
  /** Epoch microseconds. */
  readonly micros: number;
  readonly json: Readonly<Record<string, unknown>>;
}

const CYCLE = 50;
const PEOPLE = 1;
const AUCTIONS = 3;
const FIRST_ID = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
const ACTIVE_PEOPLE = 1000;
const AUCTIONS_IN_FLIGHT = 100;
const HOT_AUCTION = 2;
const HOT_SELLER = 4;
const HOT_BIDDER = 4;
const HOT_EVERY = 100;

const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const cities = ['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland', 'Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'];
const firstNames = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter'];
const lastNames = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris'];
const channels = ['Google', 'Facebook', 'Baidu', 'Apple'];

const integer = (name: string) => ({ name, type: 'integer' as const, required: false });
const text = (name: string) => ({ name, type: 'text' as const, required: false });
const topic = (name: string, id: string, fields: Topic['fields']): Topic => ({
  name,
  title: '',
  fields: [...fields, { name: 'ts', type: 'timestamp', required: false }],
  id,
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
});

export const topics: Readonly<Record<NexmarkEvent['topic'], Topic>> = {
  person: topic('person', 'id', [integer('id'), ...['name', 'email', 'city', 'state'].map(text)]),
  auction: topic('auction', 'id', [
    ...['id', 'initial_bid', 'reserve', 'seller', 'category'].map(integer),
    text('item'),
    { name: 'expires', type: 'timestamp', required: false },
  ]),
  bid: topic('bid', 'bid_id', [text('bid_id'), ...['auction', 'bidder', 'price'].map(integer), ...['channel', 'url'].map(text)]),
};

/** `perSecond` is of event time. */
export function* nexmark({
  seed,
  events,
  perSecond,
  start,
}: {
  seed: number;
  events: number;
  perSecond: number;
  start: number;
}): Generator<NexmarkEvent> {
  const unit = randomFrom(seed);
  const below = (limit: number): number => Math.floor(unit() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;
  const price = (): number => Math.round(10 ** (unit() * 6) * 100);

  for (let n = 0; n < events; n++) {
    const micros = start * 1000 + Math.floor((n * 1_000_000) / perSecond);
    const ts = new Date(micros / 1000).toISOString();
    const cycle = Math.floor(n / CYCLE);
    const offset = n % CYCLE;
    const lastPerson = cycle * PEOPLE;
    const lastAuction = cycle * AUCTIONS + Math.min(AUCTIONS - 1, Math.max(0, offset - PEOPLE));
    const person = (hot: number): number => {
      if (below(hot) > 0) return Math.floor(lastPerson / HOT_EVERY) * HOT_EVERY;
      return lastPerson - below(Math.min(lastPerson + 1, ACTIVE_PEOPLE));
    };
    if (offset < PEOPLE) {
      const id = FIRST_ID + lastPerson;
      const name = `${pick(firstNames)} ${pick(lastNames)}`;
      const json = { id, name, email: `${name.toLowerCase().replace(' ', '.')}@example.com`, city: pick(cities), state: pick(states), ts };
      yield { topic: 'person', id: String(id), micros, json };
    } else if (offset < PEOPLE + AUCTIONS) {
      const id = FIRST_ID + lastAuction;
      const initial_bid = price();
      // So long that about AUCTIONS_IN_FLIGHT of them are open at a time.
      const horizon = (AUCTIONS_IN_FLIGHT * CYCLE * 1_000_000) / (AUCTIONS * perSecond);
      const expires = new Date((micros + 1000 + below(2 * horizon)) / 1000).toISOString();
      const json = {
        id,
        item: `item ${below(10_000)}`,
        initial_bid,
        reserve: initial_bid + price(),
        seller: FIRST_ID + person(HOT_SELLER),
        category: FIRST_CATEGORY + below(CATEGORIES),
        expires,
        ts,
      };
      yield { topic: 'auction', id: String(id), micros, json };
    } else {
      const auction =
        below(HOT_AUCTION) > 0
          ? Math.floor(lastAuction / HOT_EVERY) * HOT_EVERY
          : lastAuction - below(Math.min(lastAuction + 1, AUCTIONS_IN_FLIGHT));
      const bid_id = `b${n}`;
      const json = {
        bid_id,
        auction: FIRST_ID + auction,
        bidder: FIRST_ID + person(HOT_BIDDER),
        price: price(),
        channel: pick(channels),
        url: `https://www.nexmark.com/item?id=${auction}`,
        ts,
      };
      yield { topic: 'bid', id: bid_id, micros, json };
    }
  }
}
