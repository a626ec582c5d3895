/**
 * Arithmetic that gives the same bits on every engine and at any order of rows: exp and log from additions,
 * multiplications and bit moves only (Math.exp and Math.log may differ between engines), and sums of fixed-point numbers.
 */

const bits = new DataView(new ArrayBuffer(8));

/** 2^k for -1022 ≤ k ≤ 1023. */
export function powerOfTwo(k: number): number {
  bits.setInt32(4, (k + 1023) << 20, true);
  bits.setInt32(0, 0, true);
  return bits.getFloat64(0, true);
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

/** Natural logarithm within 2 ulp for normal x > 0; x ≤ 0 and subnormal x count as 2^-1022. Method: fdlibm e_log.c. */
export function log(x: number): number {
  const value = Math.max(x, 2.2250738585072014e-308);
  bits.setFloat64(0, value, true);
  let high = bits.getInt32(4, true);
  let k = (high >> 20) - 1023;
  high &= 0xfffff;
  const shift = (high + 0x95f64) & 0x100000;
  bits.setInt32(4, high | (shift ^ 0x3ff00000), true);
  k += shift >> 20;
  const f = bits.getFloat64(0, true) - 1;
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

/** floor(log2(x)) for normal x > 0, read from the bits. */
function exponent(x: number): number {
  bits.setFloat64(0, x, true);
  return ((bits.getInt32(4, true) >> 20) & 0x7ff) - 1023;
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
