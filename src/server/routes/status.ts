import type { FastifyInstance } from 'fastify';
import { MillraceError } from '#core';
import type { Front } from '#platform';
import type { StatusAnswer } from '../api.ts';
import { version } from '../version.ts';
import { viewMetrics } from './views.ts';

const RATE_SECONDS = 10;

export function statusRoutes(app: FastifyInstance, front: Front): void {
  const rates = sampled(() => [...front.intake.counts].map(([topic, { accepted }]) => [topic, accepted] as const));
  app.addHook('onClose', async () => rates.stop());

  /** Alive: the process answers. Ready: records are taken and questions answered; while only STORE_UNAVAILABLE is said, records are taken. */
  app.get('/health', { config: { action: 'open' } }, async () => ({ status: 'ok' }));
  app.get('/ready', { config: { action: 'open' } }, async () => {
    const refusal = front.doors.refusal();
    if (refusal !== null) throw refusal;
    if (front.warehouseState() !== 'ready') throw new MillraceError('STORE_UNAVAILABLE');
    return { status: 'ready' };
  });

  app.get('/v1/status', { config: { action: 'status' } }, async (): Promise<StatusAnswer> => {
    const flows = front.flow.topics();
    const durable = front.durable();
    const names = new Set([...front.workspace.topics().map((topic) => topic.name), ...Object.keys(durable)]);
    return {
      workspace: front.workspace.settings.name,
      version,
      uptime_s: Math.round(app.uptime()),
      warehouse: front.warehouseState(),
      topics: [...names].sort().map((name) => ({
        name,
        accepted: front.intake.counts.get(name)?.accepted ?? 0,
        per_second: rates.perSecond(name),
        durable: durable[name] ?? 0,
        delivered: flows[name]?.delivered ?? 0,
        lag_ms: (durable[name] ?? 0) > (flows[name]?.delivered ?? 0) ? Math.max(1, front.flow.lag(name)) : 0,
        quarantined: front.intake.counts.get(name)?.rejected ?? 0,
      })),
      memory: front.memory(),
    };
  });

  app.get('/metrics', { config: { action: 'metrics' } }, async (_request, reply) => {
    reply.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return metrics(front, app.uptime()) + (await viewMetrics(front));
  });
}

/** Keeps a counter's last values, a second apart. */
function sampled(read: () => readonly (readonly [string, number])[]): { perSecond(name: string): number; stop(): void } {
  const samples: Map<string, number>[] = [];
  const timer = setInterval(() => {
    samples.push(new Map(read()));
    if (samples.length > RATE_SECONDS + 1) samples.shift();
  }, 1000);
  timer.unref();
  return {
    perSecond(name) {
      if (samples.length < 2) return 0;
      return Math.round(((samples.at(-1)!.get(name) ?? 0) - (samples[0]!.get(name) ?? 0)) / (samples.length - 1));
    },
    stop: () => clearInterval(timer),
  };
}

/** Prometheus text format 0.0.4. */
function metrics(front: Front, uptime: number): string {
  const lines: string[] = [];
  const metric = (name: string, type: string, help: string, values: readonly (readonly [string, number])[]) => {
    lines.push(`# HELP millrace_${name} ${help}`, `# TYPE millrace_${name} ${type}`);
    for (const [labels, value] of values) lines.push(`millrace_${name}${labels} ${value}`);
  };
  const topic = (name: string) => `{topic="${name}"}`;
  const counts = [...front.intake.counts];
  const flows = Object.entries(front.flow.topics());
  const memory = front.memory();
  metric('uptime_seconds', 'gauge', 'Seconds since the start.', [['', uptime]]);
  metric(
    'records_accepted_total',
    'counter',
    'Records acknowledged.',
    counts.map(([name, c]) => [topic(name), c.accepted]),
  );
  metric(
    'records_rejected_total',
    'counter',
    'Records rejected by intake.',
    counts.map(([name, c]) => [topic(name), c.rejected]),
  );
  metric(
    'records_unkept_total',
    'counter',
    'Rejected records that quarantine had no room for.',
    counts.map(([name, c]) => [topic(name), c.unkept]),
  );
  metric(
    'bytes_received_total',
    'counter',
    'Bytes of bodies, unpacked.',
    counts.map(([name, c]) => [topic(name), c.bytes]),
  );
  metric(
    'log_durable_position',
    'gauge',
    'Where the log ends, durably.',
    flows.map(([name, f]) => [topic(name), f.durable]),
  );
  metric(
    'log_delivered_position',
    'gauge',
    'Up to where the log is in the warehouse.',
    flows.map(([name, f]) => [topic(name), f.delivered]),
  );
  metric(
    'delivery_lag_seconds',
    'gauge',
    'Age of the oldest record not yet in the warehouse.',
    flows.map(([name]) => [topic(name), front.flow.lag(name) / 1000]),
  );
  metric('resident_bytes', 'gauge', 'Resident memory.', [
    ['{process="front"}', memory.front_bytes],
    ['{process="warehouse"}', memory.warehouse_bytes],
  ]);
  metric('connections_total', 'counter', 'Connections that were let in.', [['', front.connections()]]);
  metric('queries_refused_total', 'counter', 'Questions refused because too many of their token waited.', [['', front.line.refused]]);
  metric('warehouse_ready', 'gauge', 'Whether questions are answered.', [['', front.warehouseState() === 'ready' ? 1 : 0]]);
  metric('warehouse_restarts_total', 'counter', 'How often the warehouse was started again.', [['', front.restarts()]]);
  return `${lines.join('\n')}\n`;
}
