/**
 * Arithmetic that gives the same bits on every engine and at any order of rows: exp and log from additions,
 * multiplications and powers of two only (Math.exp and Math.log may differ between engines), and sums of fixed-point numbers.
 */

const LEAST_POWER = -1022;
const MOST_POWER = 1023;

/** 2^k at k + 1022. A table: no double is read back from bits that were written as integers. */
const powers = new Float64Array(MOST_POWER - LEAST_POWER + 1);
powers[-LEAST_POWER] = 1;
for (let k = 1; k <= MOST_POWER; k++) powers[k - LEAST_POWER] = powers[k - 1 - LEAST_POWER]! * 2;
for (let k = -1; k >= LEAST_POWER; k--) powers[k - LEAST_POWER] = powers[k + 1 - LEAST_POWER]! / 2;

/** 2^k for -1022 ≤ k ≤ 1023. */
export function powerOfTwo(k: number): number {
  return powers[k - LEAST_POWER]!;
}

/**
 * floor(log2(x)) for normal x > 0. By comparison with exact powers: Math.log2 only says where to begin, so engines may round it as they like.
 * Not from the bits: while they were read, 4 of some 150 trainings on a busy machine came out otherwise from the same data and seed, and none of
 * 368 since. That the bits were the cause is not proven: 240 more of the old way did not differ either.
 */
function exponent(x: number): number {
  let k = Math.min(MOST_POWER, Math.max(LEAST_POWER, Math.floor(Math.log2(x))));
  while (k > LEAST_POWER && powers[k - LEAST_POWER]! > x) k--;
  while (k < MOST_POWER && powers[k + 1 - LEAST_POWER]! <= x) k++;
  return k;
}

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** e^x within 2 ulp; inputs beyond ±700 are clamped so that the result is always finite and positive. Method: fdlibm e_exp.c (k·ln2 + r, rational r). */
export function exp(x: number): number {
  const clamped = Math.max(-700, Math.min(700, x));
  const k = Math.floor(clamped * Math.LOG2E + 0.5);
  const high = clamped - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c =
    r -
    t *
      (0.16666666666666602 +
        t * (-0.0027777777777015593 + t * (6.613756321437934e-5 + t * (-1.6533902205465252e-6 + t * 4.1381367970572385e-8))));
  return (1 - (low - (r * c) / (2 - c) - high)) * powerOfTwo(k);
}

/** From here on the significand of a logarithm is halved: the first 20 bits of sqrt(2), as e_log.c has it. */
const HALVED = 1 + 0x6a09c / 0x100000;

/** Natural logarithm within 2 ulp for normal x > 0; x ≤ 0 and subnormal x count as 2^-1022. Method: fdlibm e_log.c. */
export function log(x: number): number {
  const value = Math.max(x, 2.2250738585072014e-308);
  const low = exponent(value);
  // Exact: a power of two moves no digit.
  const significand = low < 0 ? value * powerOfTwo(-low) : value / powerOfTwo(low);
  const halved = significand >= HALVED;
  const k = halved ? low + 1 : low;
  const f = (halved ? significand / 2 : significand) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const t1 = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373));
  const t2 = z * (0.6666666666666735 + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)));
  const half = 0.5 * f * f;
  return k * LN2_HIGH - (half - (s * (half + t1 + t2) + k * LN2_LOW) - f);
}

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + exp(-x)) : 1 - 1 / (1 + exp(x));
}

/**
 * The power of two by which values of at most `largest` in size become integers so that `count` of them add up below 2^53:
 * the sum of such integers is exact in a double, hence the same in any order. Integers stay within 30 bits (they fit an i32).
 */
export function fixedPointScale(largest: number, count: number): number {
  if (!(largest > 0)) return 1;
  const budget = Math.min(30, 51 - exponent(Math.max(1, count)));
  return powerOfTwo(Math.max(-1000, Math.min(1000, budget - exponent(largest) - 1)));
}

/** Mean of `values` with `weights` that does not depend on their order; precision 2^-30 of the largest value. */
export function orderFreeMean(values: ArrayLike<number>, weights: ArrayLike<number>): number {
  let largest = 0;
  let heaviest = 0;
  for (let i = 0; i < values.length; i++) {
    largest = Math.max(largest, Math.abs(values[i]! * weights[i]!));
    heaviest = Math.max(heaviest, weights[i]!);
  }
  const scale = fixedPointScale(largest, values.length);
  const weightScale = fixedPointScale(heaviest, values.length);
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    sum += Math.floor(values[i]! * weights[i]! * scale + 0.5);
    total += Math.floor(weights[i]! * weightScale + 0.5);
  }
  return total > 0 ? sum / scale / (total / weightScale) : 0;
}
