/** Maximum likelihood of BG/NBD (Fader, Hardie, Lee 2005) and Gamma–Gamma (Fader, Hardie 2013). Pure. */

/** Customers with the same history: x repeat purchases, the last one tx after the first, T observed; n of them. */
export interface History {
  readonly x: number;
  readonly tx: number;
  readonly T: number;
  readonly n: number;
}

/** A customer's repeat purchases and what one of them was worth on average; n such customers. */
export interface Spending {
  readonly x: number;
  readonly mean: number;
  readonly n: number;
}

export interface Visits {
  readonly r: number;
  readonly alpha: number;
  readonly a: number;
  readonly b: number;
}

export interface Amounts {
  readonly p: number;
  readonly q: number;
  readonly v: number;
}

/** Cost: some hundred passes over the histories. `alpha` is in the unit of T. Formula: their equation (6), section 4. */
export function fitVisits(histories: readonly History[]): Visits {
  const most = Math.max(0, ...histories.map(({ x }) => x));
  const [r, alpha, a, b] = minimise([0, 1, 0, 1], (point) => {
    const [r, alpha, a, b] = point.map(Math.exp) as [number, number, number, number];
    // The gammas depend on x alone.
    const heads = Array.from({ length: most + 1 }, (_, x) => rising(r, x) + rising(b, x) - rising(a + b, x) + r * Math.log(alpha));
    let loss = 0;
    for (const { x, tx, T, n } of histories) {
      const alive = -(r + x) * Math.log(alpha + T);
      const gone = x > 0 ? Math.log(a / (b + x - 1)) - (r + x) * Math.log(alpha + tx) : -Infinity;
      const top = Math.max(alive, gone);
      loss -= n * (heads[x]! + top + Math.log(Math.exp(alive - top) + Math.exp(gone - top)));
    }
    return loss;
  }).map(Math.exp) as [number, number, number, number];
  return { r, alpha, a, b };
}

/** `v` is in the unit of the money. Formula: their equation (1a). Only customers with repeat purchases of positive value say anything. */
export function fitAmounts(spending: readonly Spending[]): Amounts {
  const total = spending.reduce((sum, { n }) => sum + n, 0);
  const unit = spending.reduce((sum, { mean, n }) => sum + n * mean, 0) / total;
  const [p, q, v] = minimise([1, 1, 0], (point) => {
    const [p, q, v] = point.map(Math.exp) as [number, number, number];
    const fixed = q * Math.log(v) - logGamma(q);
    let loss = 0;
    for (const { x, mean, n } of spending) {
      const m = mean / unit;
      const shape = p * x;
      loss -=
        n *
        (logGamma(shape + q) -
          logGamma(shape) +
          fixed +
          (shape - 1) * Math.log(m) +
          shape * Math.log(x) -
          (shape + q) * Math.log(x * m + v));
    }
    return loss;
  }).map(Math.exp) as [number, number, number];
  return { p, q, v: v * unit };
}

/** ln(Γ(z + x) / Γ(z)). */
const rising = (z: number, x: number) => logGamma(z + x) - logGamma(z);

/** ln Γ(z) for z > 0: Stirling's series from 10 on, reached by the recurrence; to 1e-13. */
function logGamma(z: number): number {
  let [shift, at] = [1, z];
  while (at < 10) shift *= at++;
  const s = 1 / (at * at);
  const series = (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / at;
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series - Math.log(shift);
}

/** The simplex of Nelder and Mead (1965), begun again from where it ended until that gains nothing; parameters stay within e^±12. */
function minimise(start: readonly number[], loss: (point: readonly number[]) => number): number[] {
  const bounded = (point: readonly number[]) => (point.every((value) => Math.abs(value) < 12) ? loss(point) : Infinity);
  let best = simplex(start, bounded);
  for (let again = 0; again < 5; again++) {
    const next = simplex(best.point, bounded);
    const gained = best.loss - next.loss;
    best = next;
    if (gained < 1e-9 * Math.abs(best.loss)) break;
  }
  return best.point;
}

interface Corner {
  readonly point: number[];
  readonly loss: number;
}

function simplex(start: readonly number[], loss: (point: readonly number[]) => number): Corner {
  const corner = (point: number[]): Corner => ({ point, loss: loss(point) });
  const corners = [corner([...start]), ...start.map((_, axis) => corner(start.map((value, at) => (at === axis ? value + 0.5 : value))))];
  for (let step = 0; step < 600; step++) {
    corners.sort((a, b) => a.loss - b.loss);
    const worst = corners.at(-1)!;
    if (worst.loss - corners[0]!.loss < 1e-10 * Math.abs(corners[0]!.loss)) break;
    const centre = start.map((_, at) => corners.slice(0, -1).reduce((sum, { point }) => sum + point[at]!, 0) / start.length);
    const along = (by: number) => corner(centre.map((value, at) => value + by * (worst.point[at]! - value)));
    const reflected = along(-1);
    let taken: Corner | null = reflected.loss < corners.at(-2)!.loss ? reflected : null;
    if (reflected.loss < corners[0]!.loss) {
      const further = along(-2);
      taken = further.loss < reflected.loss ? further : reflected;
    } else if (taken === null) {
      const nearer = along(reflected.loss < worst.loss ? -0.5 : 0.5);
      if (nearer.loss < Math.min(worst.loss, reflected.loss)) taken = nearer;
    }
    if (taken !== null) corners[corners.length - 1] = taken;
    else
      for (let at = 1; at < corners.length; at++)
        corners[at] = corner(corners[at]!.point.map((value, axis) => (value + corners[0]!.point[axis]!) / 2));
  }
  return corners.sort((a, b) => a.loss - b.loss)[0]!;
}
