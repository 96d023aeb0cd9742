import { expect, test } from 'vitest'
import { agreement, agreementMatrix } from '../../src/charts/agreement'
import { type Dots, MOST_DOTS, plottable, thinned } from '../../src/charts/dots'
import { errorsOverTime, stacked } from '../../src/charts/errors'
import { answered } from '../../src/charts/picked'
import { spansOf, timelineOf } from '../../src/charts/timeline'
import { NO_ANSWER } from '../../src/data/columns'
import { ALL, columnsOf } from '../board'

const NONE = NO_ANSWER
const TWO_CELLS = [
  { cell: 0, repeat: 0 },
  { cell: 1, repeat: 0 },
]
const REPEATED = [
  { cell: 0, repeat: 0 },
  { cell: 0, repeat: 1 },
  { cell: 1, repeat: 0 },
  { cell: 1, repeat: 1 },
]

test('only answers count, of the rows and slots asked for', () => {
  const columns = columnsOf({
    rows: 3,
    slots: TWO_CELLS,
    columns: { status: [1, 2, 1, 1, 1, 0], latency: [1, 2, NaN, 4, 5, 6] },
  })
  expect([...answered(columns, columns.latency, { rows: ALL(3), slots: [0, 1] })]).toEqual([
    1, 4, 5,
  ])
  expect([...answered(columns, columns.latency, { rows: ALL(1), slots: [1] })]).toEqual([4])
})

test('cells agree in the share of rows that both answered alike', () => {
  const columns = columnsOf({
    rows: 4,
    slots: TWO_CELLS,
    columns: { answer: [0, 0, 0, NONE, 0, 1, 0, 0] },
  })
  const [both, itself] = agreementMatrix(columns, ALL(4), [[0], [1]])[0] ?? []
  expect(both).toEqual({ share: NaN, rows: 0 })
  expect(itself).toEqual({ share: 2 / 3, rows: 3 })
})

test('of repeats, the share of equal pairs counts, each row once', () => {
  const columns = columnsOf({
    rows: 2,
    slots: REPEATED,
    columns: { answer: [0, 0, 0, NONE, 0, 0, 1, NONE] },
  })
  const [first, second] = [
    [0, 1],
    [2, 3],
  ] as [number[], number[]]
  // Row 0: pairs 0-0, 0-1, 0-0, 0-1; row 1: one pair, 0-0.
  expect(agreement(columns, ALL(2), first, second)).toEqual({ share: (0.5 + 1) / 2, rows: 2 })
  expect(agreement(columns, ALL(2), second, second)).toEqual({ share: 0, rows: 1 })
})

test('errors are counted by type and time, and the rarer types are one', () => {
  const columns = columnsOf({
    rows: 6,
    slots: [{ cell: 0, repeat: 0 }],
    columns: {
      status: [2, 2, 3, 2, 1, 2],
      error: [1, 1, 2, 3, 0, 1],
      start: [0, 0, 0, 0, 0, 0],
      end: [1, 3, 9, 10, 10, 10],
    },
  })
  const picked = { rows: ALL(6), slots: [0] }
  const timeline = timelineOf(spansOf(columns, picked))
  const found = errorsOverTime(columns, picked, timeline, 2, 2)
  expect(found.map(({ type, total }) => [type, total])).toEqual([
    [1, 3],
    [-1, 2],
  ])
  expect(found.map(({ counts }) => [...counts])).toEqual([
    [2, 1],
    [0, 2],
  ])
  expect(stacked(found.map(({ counts }) => counts)).map((bar) => [...bar])).toEqual([
    [2, 1],
    [2, 3],
  ])
})

function dots(points: [number, number][]): Dots {
  return {
    x: Float64Array.from(points, ([x]) => x),
    y: Float64Array.from(points, ([, y]) => y),
    row: Uint32Array.from(points, (_, row) => row),
    slot: new Uint32Array(points.length),
  }
}

test('200,000 dots become as many as there is room for, and the outlier stays', () => {
  const many = dots(
    Array.from(
      { length: 200_000 },
      (_, i) => [1 + (i % 500), 1 + ((i * 7) % 300)] as [number, number],
    ),
  )
  many.x[123] = 40_000
  const few = thinned(many, true, true)
  expect(few.x.length).toBeLessThan(MOST_DOTS)
  expect([...few.row]).toContain(123)
  expect([...few.x]).toEqual([...few.x].sort((a, b) => a - b))
})

test('what cannot stand on a logarithmic axis is left out', () => {
  const found = plottable(
    dots([
      [0, 1],
      [1, 0],
      [NaN, 1],
      [2, 3],
    ]),
    true,
    true,
  )
  expect([...found.row]).toEqual([3])
})
