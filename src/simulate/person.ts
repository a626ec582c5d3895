import type { Millis } from '#core';
import { computers, countries, crawlers, type Device, phones } from './goods.ts';
import type { Plan } from './plan.ts';
import { random } from './random.ts';

/** Who visits the shop. Customers come first in the index, then staff (their traffic is internal), then crawlers. */
export interface Person {
  readonly index: number;
  readonly kind: 'customer' | 'staff' | 'bot';
  /** One browser or two. Whoever has two is a member, so that the `identify` records can join them into one person. */
  readonly devices: readonly Device[];
  readonly userId: string | null;
  readonly country: string;
  /** The arm of the A/B test; the same on all devices. */
  readonly variant: 'A' | 'B';
  /** An ad-blocker keeps every record of this person from being sent; the orders still stand in the shop's own table. */
  readonly blocked: boolean;
  readonly firstVisit: Millis;
  /** Mean time between two visits. */
  readonly meanGap: Millis;
}

const day = 86_400_000;

export const people = (plan: Plan) => plan.users + plan.staff + plan.bots;

/** A pure function of the plan and the index: nothing about people is kept. */
export function person(plan: Plan, index: number): Person {
  const draw = random(plan.seed, 1, index);
  const kind = index < plan.users ? 'customer' : index < plan.users + plan.staff ? 'staff' : 'bot';
  const firstVisit = plan.from + Math.floor(draw.unit() * (plan.to - plan.from));
  const variant = draw.chance(0.5) ? 'A' : 'B';
  const { country } = draw.weighted(countries);
  const common = { index, kind, firstVisit, variant, country } as const;
  if (kind === 'bot') return { ...common, devices: [draw.weighted(crawlers)], userId: null, blocked: false, meanGap: day };

  const two = draw.chance(0.2);
  const first = draw.chance(0.75) ? draw.weighted(phones) : draw.weighted(computers);
  const second = first.device === 'mobile' ? draw.weighted(computers) : draw.weighted(phones);
  const member = two || kind === 'staff' || draw.chance(0.3);
  return {
    ...common,
    devices: two ? [first, second] : [first],
    userId: member ? `u${index}` : null,
    blocked: kind === 'customer' && draw.chance(0.07),
    meanGap: day * draw.pick([1.5, 4, 10, 30]),
  };
}
