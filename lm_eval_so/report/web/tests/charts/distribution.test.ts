import { expect, test } from 'vitest'
import {
  cumulative,
  distribution,
  histogram,
  percentile,
  placeIn,
  sharedBins,
  sorted,
} from '../../src/charts/distribution'

const of = (...values: number[]) => sorted(Float64Array.from(values))

test('a percentile is the smallest value with at least that share at or below it', () => {
  expect(percentile(of(3, 1, 2), 50)).toBe(2)
  expect(percentile(of(4, 1, 2, 3), 50)).toBe(2)
  expect(percentile(of(3, 1, 2), 99)).toBe(3)
  expect(percentile(of(7), 1)).toBe(7)
})

test('the distribution is that of summary/histogram.py, to the one percent of its buckets', () => {
  const values = [...Array(1000).keys()].map((i) => ((i * 7919) % 1000) + 1)
  const found = distribution(of(...values, 5000.5, 12.25))
  const python = { p50: 499.69, p90: 898.79, p99: 992.83 }
  expect(found).toMatchObject({ count: 1002, min: 1, max: 5000.5 })
  expect(found?.mean).toBeCloseTo(504.504, 3)
  for (const name of ['p50', 'p90', 'p99'] as const) {
    expect(Math.abs((found?.[name] as number) / python[name] - 1)).toBeLessThan(0.01)
  }
})

test('of nothing there is no distribution and there are no bars', () => {
  expect(distribution(of())).toBeNull()
  expect(sharedBins([of(), of(0)], 10)).toBeNull()
})

test('bars of several sets share an axis, hold every value, and are equally wide in logarithms', () => {
  const [one, other] = [of(10, 20, 1000), of(1, 0)]
  const bins = sharedBins([one, other], 3)
  expect(bins).toEqual({ from: 1, to: 1000, count: 3 })
  if (!bins) return
  expect([...histogram(one, bins)]).toEqual([0, 2, 1])
  expect([...histogram(other, bins)]).toEqual([2, 0, 0])
  expect(placeIn(bins, Math.sqrt(1000))).toBeCloseTo(0.5)
})

test('values that are all equal have an axis around them', () => {
  const bins = sharedBins([of(50, 50)], 4)
  if (!bins) throw new Error('no axis')
  expect(histogram(of(50, 50), bins).reduce((a, b) => a + b)).toBe(2)
  expect(placeIn(bins, 50)).toBeCloseTo(0.5)
})

test('the curve rises to 1 at the largest value, and equal values are one step', () => {
  expect(cumulative(of(1, 2, 2, 4), 100)).toEqual({ value: [1, 2, 4], share: [0.25, 0.75, 1] })
})

test('a curve of many values has no more points than asked, and ends at the largest', () => {
  const curve = cumulative(of(...Array(10_001).keys()), 100)
  expect(curve.value.length).toBe(100)
  expect(curve.value.at(-1)).toBe(10_000)
  expect(curve.share.at(-1)).toBe(1)
})
