/** The definitions of the simulated topics, as they stand in the workspace's topics/ folder. */
export const shopTopics: Readonly<Record<string, string>> = {
  events: `title: What visitors of the shop do
id: event_id
time:
  field: ts
  unit: iso
  required: true
type: event
drift: evolve
fields:
  event_id: { type: text, required: true }
  event: { type: text, required: true }
  ts: timestamp
  sent_at: timestamp
  user_pseudo_id: { type: text, required: true }
  user_id: text
  page: text
  referrer: text
  source: text
  medium: text
  campaign: text
  device: text
  browser: text
  user_agent: text
  country: text
  internal: boolean
  search_term: text
  list: text
  placement: text
  content: text
  item_id: text
  position: integer
  visible: boolean
  visible_ms: integer
  items: json
  value: decimal(18,2)
  currency: text
  order_id: text
  payment_type: text
  experiment: text
  variant: text
`,
  refunds: `title: Money that the shop gave back
id: refund_id
time:
  field: ts
  unit: iso
  required: true
type: event
drift: freeze
fields:
  refund_id: { type: text, required: true }
  event: text
  ts: timestamp
  order_id: { type: text, required: true }
  kind: text
  value: { type: "decimal(18,2)", required: true }
  currency: text
  reason: text
`,
};
