/** Φ(z) by its Taylor series near 0 and by the continued fraction of the tail beyond 3 (Abramowitz and Stegun 26.2.11, 26.2.14). */
function cumulative(z: number): number {
  if (z < 0) return 1 - cumulative(-z);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z > 3) {
    let fraction = z;
    for (let k = 80; k > 0; k--) fraction = z + k / fraction;
    return 1 - density / fraction;
  }
  let [sum, term] = [z, z];
  for (let k = 1; k < 60; k++) sum += term *= (z * z) / (2 * k + 1);
  return 0.5 + density * sum;
}

/** The normal quantile of a probability in (1e-12, 1 − 1e-12), by bisection, to 1e-9. */
export function quantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (cumulative(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** In SQL 2(1 − Φ(z)) by Abramowitz and Stegun 26.2.17 (absolute error below 1.5e-7). */
export function twoSided(z: string): string {
  const t = `(1 / (1 + 0.2316419 * ${z}))`;
  return `2 * 0.3989422804014327 * exp(-0.5 * ${z} * ${z}) * ${t} * (0.319381530 + ${t} * (-0.356563782 + ${t} * (1.781477937 + ${t} * (-1.821255978 + ${t} * 1.330274429))))`;
}

/** Quantiles of chi-square at p = 0.001, by degrees of freedom from 1. */
const chiSquare = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877];

/** The value of chi-square beyond which a sample ratio is an alarm (p < 0.001), for that many variants (2 to 10). */
export const alarmAbove = (variants: number): number => chiSquare[variants - 2]!;
