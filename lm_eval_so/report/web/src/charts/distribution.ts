/** What many values add up to: percentiles, bars, the curve of shares. */

export interface Distribution {
  count: number
  min: number
  mean: number
  p50: number
  p90: number
  p99: number
  max: number
}

/** A sorted copy. */
export function sorted(values: Float64Array): Float64Array {
  return Float64Array.from(values).sort()
}

/**
 * The smallest value with at least that share (in whole percent) of all values at or below it.
 * The rule of `summary/histogram.py` (nearest rank); exact here, to one percent there.
 */
export function percentile(inOrder: Float64Array, share: number): number {
  const rank = Math.ceil((inOrder.length * share) / 100)
  return inOrder[Math.max(rank, 1) - 1] ?? NaN
}

export function distribution(inOrder: Float64Array): Distribution | null {
  const count = inOrder.length
  if (count === 0) return null
  return {
    count,
    min: inOrder[0] as number,
    mean: inOrder.reduce((sum, value) => sum + value, 0) / count,
    p50: percentile(inOrder, 50),
    p90: percentile(inOrder, 90),
    p99: percentile(inOrder, 99),
    max: inOrder[count - 1] as number,
  }
}

/** Bounds of bars that are equally wide on a logarithmic axis. */
export interface Bins {
  from: number
  to: number
  count: number
}

/** One axis for several sets of values, so that their bars can be compared. Null without values. */
export function sharedBins(sets: readonly Float64Array[], count: number): Bins | null {
  let from = Infinity
  let to = 0
  for (const inOrder of sets) {
    const least = inOrder.find((value) => value > 0)
    if (least === undefined) continue
    from = Math.min(from, least)
    to = Math.max(to, inOrder[inOrder.length - 1] as number)
  }
  if (to === 0) return null
  return to > from * 1.1 ? { from, to, count } : { from: from / 1.1, to: to * 1.1, count }
}

/** Where a value stands on the axis of the bars, from 0 to 1. */
export function placeIn(bins: Bins, value: number): number {
  const place = Math.log(value / bins.from) / Math.log(bins.to / bins.from)
  return Math.min(1, Math.max(0, Number.isNaN(place) ? 0 : place))
}

/** How many values each bar has; what is not above 0 is in the first. */
export function histogram(values: Float64Array, bins: Bins): Uint32Array {
  const counts = new Uint32Array(bins.count)
  for (const value of values) {
    const bar = Math.min(bins.count - 1, Math.floor(placeIn(bins, value) * bins.count))
    counts[bar] = (counts[bar] as number) + 1
  }
  return counts
}

export interface Curve {
  value: number[]
  /** Of all values at or below `value`, from 0 to 1. */
  share: number[]
}

/** The share of values at or below each value, at no more than `most` of them; the last is kept. */
export function cumulative(inOrder: Float64Array, most: number): Curve {
  const curve: Curve = { value: [], share: [] }
  const count = inOrder.length
  const points = Math.min(count, most)
  for (let point = 1; point <= points; point++) {
    const rank = Math.round((point * count) / points)
    const value = inOrder[rank - 1] as number
    if (curve.value.at(-1) === value) {
      curve.share[curve.share.length - 1] = rank / count
    } else {
      curve.value.push(value)
      curve.share.push(rank / count)
    }
  }
  return curve
}
