/** Differences of paired values: their mean with an interval, and exact tests. */

export interface Interval {
  low: number
  high: number
}

export interface Paired {
  /** Samples with a value on both sides. */
  count: number
  before: number
  after: number
  /** Mean of after - before. */
  difference: number
  /** 95%; null where there are fewer than two samples, or all differ by the same. */
  interval: Interval | null
  method: 'student' | 'agresti-min'
  rose: number
  fell: number
  /** Two-sided, exact: the sign test, which for booleans is McNemar's; 1 where nothing changed. */
  p: number
}

const CONFIDENCE = 0.95

/** Compares two values of each sample. `before[i]` and `after[i]` are of one sample. */
export function paired(before: Float64Array, after: Float64Array): Paired {
  const differences = after.map((value, i) => value - (before[i] as number))
  const rose = differences.filter((value) => value > 0).length
  const fell = differences.filter((value) => value < 0).length
  const boolean = [before, after].every((values) => values.every((v) => v === 0 || v === 1))
  return {
    count: differences.length,
    before: mean(before),
    after: mean(after),
    difference: mean(differences),
    interval: boolean ? agrestiMin(rose, fell, differences.length) : studentInterval(differences),
    method: boolean ? 'agresti-min' : 'student',
    rose,
    fell,
    p: signTest(rose, fell),
  }
}

export function mean(values: Float64Array): number {
  return values.length > 0 ? values.reduce((sum, v) => sum + v, 0) / values.length : NaN
}

/** Student's t over the samples: mean +- t(0.975, n - 1) * s / sqrt(n). */
export function studentInterval(values: Float64Array): Interval | null {
  const n = values.length
  if (n < 2) return null
  const centre = mean(values)
  if (values.every((value) => value === values[0])) return null
  const variance = values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (n - 1)
  const half = studentQuantile((1 + CONFIDENCE) / 2, n - 1) * Math.sqrt(variance / n)
  return { low: centre - half, high: centre + half }
}

/**
 * For the difference of two paired shares (Agresti and Min 2005, Statistics in Medicine 24, 729):
 * Wald's interval after half a sample is added to each of the four cells of the table. It keeps
 * its level where few samples changed, and does not collapse where none did.
 */
export function agrestiMin(rose: number, fell: number, count: number): Interval | null {
  if (count < 2) return null
  const n = count + 2
  const difference = (rose - fell) / n
  const half = NORMAL_975 * Math.sqrt(((rose + fell + 1) / n - difference ** 2) / n)
  return { low: Math.max(-1, difference - half), high: Math.min(1, difference + half) }
}

const NORMAL_975 = 1.959963984540054

/** Two-sided p of as uneven a split, if both ways are equally likely (exact binomial). */
export function signTest(rose: number, fell: number): number {
  const n = rose + fell
  if (n === 0) return 1
  const fewer = Math.min(rose, fell)
  let tail = 0
  for (let k = fewer; k >= 0; k--) {
    const term = Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) - n * Math.LN2)
    tail += term
    if (term < tail * 1e-16) break
  }
  return Math.min(1, 2 * tail)
}

/** The value that Student's t with `freedom` degrees stays below with that probability (> 0.5). */
export function studentQuantile(probability: number, freedom: number): number {
  let [low, high] = [0, 1]
  while (studentBelow(high, freedom) < probability) high *= 2
  for (let step = 0; step < 80; step++) {
    const middle = (low + high) / 2
    if (studentBelow(middle, freedom) < probability) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Probability that Student's t is below `t` >= 0. */
function studentBelow(t: number, freedom: number): number {
  return 1 - regularisedBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
}

/** I_x(a, b), by its continued fraction (DLMF 8.17.22, evaluated as Lentz does). */
export function regularisedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a)
  const logFront =
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)
  return (Math.exp(logFront) * betaFraction(x, a, b)) / a
}

function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value)
  let c = 1
  let d = 1 / away(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m < 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    let step = 1
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d)
      c = away(1 + term / c)
      step = c * d
      fraction *= step
    }
    if (Math.abs(step - 1) < 1e-15) break
  }
  return fraction
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
]

/** Logarithm of the gamma function of x > 0 (Lanczos, g = 7, nine terms). */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const shifted = x - 1
  const t = shifted + 7.5
  const series = LANCZOS.reduce((sum, c, i) => sum + c / (shifted + i + 1), 0.99999999999980993)
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(series)
}
