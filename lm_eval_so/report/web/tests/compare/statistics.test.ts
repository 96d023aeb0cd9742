/** The figures are those of scipy 1.x: stats.t, stats.binomtest, special.betainc and gammaln. */
import { expect, test } from 'vitest'
import {
  agrestiMin,
  logGamma,
  paired,
  regularisedBeta,
  signTest,
  studentInterval,
  studentQuantile,
} from '../../src/compare/statistics'

test.each([
  [1, 12.706204736174694],
  [2, 4.302652729749462],
  [5, 2.5705818356363146],
  [7, 2.364624251592784],
  [30, 2.0422724563012378],
  [100, 1.9839715185235518],
  [1000, 1.9623390808264083],
  [100_000, 1.9599877075346095],
])("Student's t with %i degrees of freedom", (freedom, expected) => {
  expect(Math.abs(studentQuantile(0.975, freedom) / expected - 1)).toBeLessThan(1e-8)
})

test.each([
  [0.3, 2, 3, 0.3483],
  [0.9, 5, 0.5, 0.3166429150200122],
  [0.01, 0.5, 0.5, 0.06376856085851985],
  [0.5, 50, 60, 0.8309072939016693],
])('the regularised beta function at %f, %f, %f', (x, a, b, expected) => {
  expect(regularisedBeta(x, a, b)).toBeCloseTo(expected, 12)
})

test.each([
  [0.25, 1.2880225246980774],
  [1, 0],
  [10, 12.801827480081469],
  [171.5, 709.1431630309283],
  [1e5, 1051287.7089736569],
])('the logarithm of gamma(%f)', (x, expected) => {
  expect(Math.abs(logGamma(x) - expected)).toBeLessThan(1e-12 * Math.max(10, expected))
})

test.each([
  [6, 1, 0.125],
  [5, 5, 1],
  [9, 1, 0.021484375],
  [120, 80, 0.005685155996750306],
  [20, 0, 1.9073486328125e-6],
  [600, 400, 2.728464156065947e-10],
])('the sign test of %i against %i', (rose, fell, expected) => {
  expect(Math.abs(signTest(rose, fell) / expected - 1)).toBeLessThan(1e-8)
  expect(signTest(fell, rose)).toBe(signTest(rose, fell))
})

test('nothing that changed is no evidence', () => {
  expect(signTest(0, 0)).toBe(1)
})

test('numbers: the mean difference with the interval of the paired t-test', () => {
  const before = Float64Array.of(0.2, 0.5, 0.9, 0.4, 0.7, 0.1, 0.6, 0.3)
  const after = Float64Array.of(0.4, 0.5, 0.8, 0.9, 0.9, 0.3, 0.7, 0.8)
  const found = paired(before, after)
  expect(found).toMatchObject({
    count: 8,
    rose: 6,
    fell: 1,
    method: 'student',
    p: expect.closeTo(0.125, 10),
  })
  expect(found.difference).toBeCloseTo(0.2, 12)
  expect(found.interval?.low).toBeCloseTo(0.021251208176379044, 9)
  expect(found.interval?.high).toBeCloseTo(0.378748791823621, 9)
})

test('one sample, or the same difference everywhere, gives no interval', () => {
  expect(studentInterval(Float64Array.of(1))).toBeNull()
  expect(studentInterval(Float64Array.of(0.1, 0.1, 0.1))).toBeNull()
  expect(paired(new Float64Array(0), new Float64Array(0))).toMatchObject({
    count: 0,
    interval: null,
    p: 1,
  })
})

test('booleans: the interval of Agresti and Min, and McNemar, exactly', () => {
  // 100 samples: 12 became right, 4 became wrong. Figures by hand in Python.
  const before = Float64Array.from({ length: 100 }, (_, i) => (i < 4 ? 1 : i < 16 ? 0 : i % 2))
  const after = Float64Array.from({ length: 100 }, (_, i) => (i < 4 ? 0 : i < 16 ? 1 : i % 2))
  const found = paired(before, after)
  expect(found).toMatchObject({ count: 100, rose: 12, fell: 4, method: 'agresti-min' })
  expect(found.difference).toBeCloseTo(0.08, 12)
  expect(found.interval?.low).toBeCloseTo(0.0006803572408494163, 12)
  expect(found.interval?.high).toBeCloseTo(0.1561823878571898, 12)
  expect(found.p).toBeCloseTo(0.076813, 6)
})

test('booleans that all stay the same still have an interval', () => {
  const interval = agrestiMin(0, 0, 10)
  expect(interval?.low).toBeCloseTo(-0.1633303320450045, 12)
  expect(interval?.high).toBeCloseTo(0.1633303320450045, 12)
})
