/** What is minimised: a smooth function of `at` that also writes its gradient. */
export type Objective = (at: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  /** [n]: L1 penalty of each coordinate; all 0 is plain L-BFGS. */
  readonly l1: Float64Array;
  readonly iterations: number;
  /** Stop when an iteration lowers the objective by less than this share of it. */
  readonly tolerance: number;
}

/** Pairs of steps that approximate the curvature. */
const MEMORY = 6;

/**
 * Minimises objective + Σ l1·|x| from `x` on, in place: L-BFGS (Nocedal 1980), with L1 as OWL-QN (Andrew, Gao 2007): the pseudo-gradient
 * gives the direction and a step may not leave its orthant. A generator: yields the value after each iteration; returns the last one.
 */
export function* minimise(objective: Objective, x: Float64Array, options: MinimiseOptions): Generator<number, number, boolean | undefined> {
  const n = x.length;
  const gradient = new Float64Array(n);
  let value = objective(x, gradient) + penalty(x, options.l1);
  const steps: Step[] = [];
  const nextGradient = new Float64Array(n);
  // Used again in each iteration: of words there may be a hundred thousand.
  const [slope, direction, orthant, next] = [new Float64Array(n), new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  for (let iteration = 0; iteration < options.iterations; iteration++) {
    pseudoGradient(x, gradient, options.l1, slope);
    twoLoops(slope, steps, options.l1, direction);
    const descent = dot(direction, slope);
    if (!(descent < 0)) break;
    orthantOf(x, slope, orthant);
    let length = iteration === 0 ? 1 / Math.max(1, Math.sqrt(dot(slope, slope))) : 1;
    let nextValue = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 30; tries++, length /= 2) {
      stepTo(x, direction, length, orthant, options.l1, next);
      nextValue = objective(next, nextGradient) + penalty(next, options.l1);
      if (nextValue <= value + 1e-4 * length * descent) break;
    }
    if (!(nextValue < value)) break;
    remember(steps, x, next, gradient, nextGradient);
    const gained = value - nextValue;
    x.set(next);
    gradient.set(nextGradient);
    value = nextValue;
    if ((yield value) === true || gained <= options.tolerance * Math.abs(value)) break;
  }
  return value;
}

function orthantOf(x: Float64Array, slope: Float64Array, signs: Float64Array): void {
  for (let i = 0; i < x.length; i++) signs[i] = x[i]! !== 0 ? Math.sign(x[i]!) : -Math.sign(slope[i]!);
}

function stepTo(
  x: Float64Array,
  direction: Float64Array,
  length: number,
  orthant: Float64Array,
  l1: Float64Array,
  next: Float64Array,
): void {
  for (let i = 0; i < x.length; i++) {
    const moved = x[i]! + length * direction[i]!;
    next[i] = l1[i]! > 0 && moved * orthant[i]! < 0 ? 0 : moved;
  }
}

/** A step and how the gradient changed along it. */
interface Step {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly rho: number;
}

function remember(steps: Step[], x: Float64Array, next: Float64Array, gradient: Float64Array, nextGradient: Float64Array): void {
  const s = difference(next, x);
  const y = difference(nextGradient, gradient);
  const curvature = dot(s, y);
  if (curvature <= 1e-12 * dot(y, y)) return;
  steps.push({ s, y, rho: 1 / curvature });
  if (steps.length > MEMORY) steps.shift();
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  const c = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) c[i] = a[i]! - b[i]!;
  return c;
}

/** The two-loop recursion: minus the inverse curvature times the slope; under L1 a coordinate that would climb stays. */
function twoLoops(slope: Float64Array, steps: readonly Step[], l1: Float64Array, direction: Float64Array): void {
  for (let i = 0; i < slope.length; i++) direction[i] = -slope[i]!;
  const alphas: number[] = [];
  for (let k = steps.length - 1; k >= 0; k--) {
    const { s, y, rho } = steps[k]!;
    const alpha = rho * dot(s, direction);
    alphas[k] = alpha;
    addTimes(direction, y, -alpha);
  }
  const last = steps.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < direction.length; i++) direction[i] = direction[i]! * scale;
  }
  for (let k = 0; k < steps.length; k++) {
    const { s, y, rho } = steps[k]!;
    addTimes(direction, s, alphas[k]! - rho * dot(y, direction));
  }
  for (let i = 0; i < direction.length; i++) if (l1[i]! > 0 && direction[i]! * slope[i]! > 0) direction[i] = 0;
}

function pseudoGradient(x: Float64Array, gradient: Float64Array, l1: Float64Array, slope: Float64Array): void {
  slope.set(gradient);
  for (let i = 0; i < x.length; i++) {
    const g = gradient[i]!;
    const weight = l1[i]!;
    if (weight === 0) continue;
    if (x[i]! !== 0) slope[i] = g + Math.sign(x[i]!) * weight;
    else slope[i] = g < -weight ? g + weight : Math.max(g - weight, 0);
  }
}

function penalty(x: Float64Array, l1: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += l1[i]! * Math.abs(x[i]!);
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addTimes(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i] = a[i]! + b[i]! * factor;
}
