import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail } from '#core';
import { assign, type Experiment, parseExperiment } from '#experiment';
import type { Front } from '#platform';
import type { AssignmentAnswer } from '../api.ts';

const ending = '.yaml';
const mostUnit = 200;

/**
 * Which variant a unit sees: from the definition and the unit alone, in the front, so that it is answered while the warehouse is down.
 */
export function experimentRoutes(app: FastifyInstance, { workspace }: Front): void {
  const folder = join(workspace.path, 'experiments');
  const read = new Map<string, { readonly changed: number; readonly experiment: Experiment }>();

  app.get<{ Params: { name: string }; Querystring: { unit?: unknown } }>(
    '/v1/experiments/:name/assignment',
    { config: { action: 'assign' } },
    async (request): Promise<AssignmentAnswer> => {
      const { unit } = request.query;
      if (typeof unit !== 'string' || unit === '' || unit.length > mostUnit || !unit.isWellFormed() || unit.includes('\0'))
        return fail('REQUEST_INVALID', { problem: `"unit" must be text of 1 to ${mostUnit} characters` });
      const experiment = experimentOf(request.params.name);
      const closed = closedBecause(experiment, workspace.settings.timeZone);
      const variant = closed === null ? assign(experiment, unit) : null;
      return { experiment: experiment.name, unit, variant, reason: variant === null ? (closed ?? 'not among the traffic') : null };
    },
  );

  /** Parsed again when the file has changed. */
  function experimentOf(name: string): Experiment {
    const path = join(folder, `${name}${ending}`);
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(name) || !statSync(path, { throwIfNoEntry: false })?.isFile())
      return fail('EXPERIMENT_UNKNOWN', { experiment: name.slice(0, 100), experiments: names() });
    const changed = statSync(path).mtimeMs;
    const held = read.get(name);
    if (held?.changed === changed) return held.experiment;
    const experiment = parseExperiment(name, readFileSync(path, 'utf8'), `experiments/${name}${ending}`);
    read.set(name, { changed, experiment });
    return experiment;
  }

  function names(): string {
    const files = existsSync(folder) ? readdirSync(folder) : [];
    return files
      .filter((file) => file.endsWith(ending))
      .map((file) => file.slice(0, -ending.length))
      .sort()
      .join(', ');
  }
}

/** Days are the workspace's: before the first and after the last nobody is assigned. */
function closedBecause({ from, to }: Experiment, timeZone: string): string | null {
  const today = new Intl.DateTimeFormat('sv-SE', { timeZone }).format(new Date());
  if (from !== null && today < from) return `it begins on ${from}`;
  return to !== null && today > to ? `it ended on ${to}` : null;
}
