import { expect, test } from 'vitest'
import {
  binsOf,
  inFlight,
  limitOverTime,
  type Spans,
  spansOf,
  timelineOf,
} from '../../src/charts/timeline'
import { ALL, columnsOf } from '../board'

const spans = (...pairs: [number, number][]): Spans => ({
  starts: Float64Array.from(pairs, ([start]) => start),
  ends: Float64Array.from(pairs, ([, end]) => end),
})

test('in flight is the most at once in each bin', () => {
  const work = spans([0, 4], [1, 2], [1, 3], [9, 10])
  expect([...inFlight(work, timelineOf(work), 10)]).toEqual([1, 3, 3, 2, 1, 0, 0, 0, 0, 1])
})

test('a request that begins when another ends makes no peak', () => {
  const work = spans([0, 1], [1, 2], [2, 3], [3, 4])
  expect(Math.max(...inFlight(work, timelineOf(work), 4))).toBe(1)
})

test('a request that takes no time is seen', () => {
  const work = spans([0, 0], [2, 2], [4, 5])
  expect(inFlight(work, timelineOf(work), 5).reduce((a, b) => a + b)).toBe(3)
})

test('the pause before a run was resumed is cut out of the axis, and told', () => {
  const day = 86_400
  const work = spans([5, 105], [day, day + 100])
  const timeline = timelineOf(work)
  expect(timeline.length).toBe(200)
  expect(timeline.busy).toBe(200)
  expect(timeline.pauses).toEqual([{ at: 100, seconds: day - 105 }])
  expect(timeline.place(5)).toBe(0)
  expect(timeline.place(55)).toBe(50)
  expect(timeline.place(5000)).toBe(100)
  expect(timeline.place(day)).toBe(100)
  expect(timeline.place(day + 60)).toBe(160)
})

test('a short pause stays on the axis', () => {
  const timeline = timelineOf(spans([0, 10], [50, 60]))
  expect(timeline.pauses).toEqual([])
  expect(timeline.length).toBe(60)
  expect(timeline.busy).toBe(20)
})

test('the limit is a step that begins where the last command did', () => {
  const timeline = timelineOf(spans([0, 10]))
  const history = [
    { at_s: 0, limit: 8 },
    { at_s: 3, limit: 16 },
  ]
  expect([...limitOverTime(history, 2, timeline, 10)]).toEqual([
    Number.NaN,
    Number.NaN,
    8,
    8,
    8,
    16,
    16,
    16,
    16,
    16,
  ])
})

test('owed results and unknown times have no span', () => {
  const columns = columnsOf({
    rows: 4,
    slots: [{ cell: 0, repeat: 0 }],
    columns: { status: [1, 0, 2, 1], start: [1, 2, 3, NaN], end: [2, 3, 5, 6] },
  })
  const found = spansOf(columns, { rows: ALL(4), slots: [0] })
  expect([...found.starts]).toEqual([1, 3])
  expect([...found.ends]).toEqual([2, 5])
})

test('bins cover the axis', () => {
  expect([...binsOf(timelineOf(spans([0, 8])), 4)]).toEqual([0, 2, 4, 6])
})
