import { expect, test } from 'vitest'
import { changeOf, changes, pairsOf } from '../../src/compare/changes'
import { NO_ANSWER } from '../../src/data/columns'
import { ALL, columnsOf } from '../board'

const NONE = NO_ANSWER
const TWO = [
  { cell: 0, repeat: 0 },
  { cell: 1, repeat: 0 },
]

test('every sample is in exactly one list', () => {
  const columns = columnsOf({
    rows: 7,
    slots: TWO,
    columns: {
      status: [1, 1, 1, 2, 3, 1, 0, /* after */ 1, 1, 2, 1, 2, 0, 1],
      answer: [0, 0, 0, NONE, NONE, 0, NONE, /* after */ 0, 1, NONE, 0, NONE, NONE, 0],
    },
  })
  const found = changes(columns, ALL(7), [0], [1])
  expect(
    Object.fromEntries(Object.entries(found).map(([kind, rows]) => [kind, [...rows]])),
  ).toEqual({
    same: [0],
    changed: [1],
    newly_failed: [2],
    newly_ok: [3],
    both_failed: [4],
    missing: [5, 6],
  })
})

test('of repeats the sets of answers are compared, and one failure is a failure', () => {
  const slots = [0, 0, 1, 1].map((cell, i) => ({ cell, repeat: i % 2 }))
  const columns = columnsOf({
    rows: 3,
    slots,
    columns: {
      status: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2],
      answer: [0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, NONE],
    },
  })
  expect([0, 1, 2].map((row) => changeOf(columns, row, [0, 1], [2, 3]))).toEqual([
    'same',
    'changed',
    'newly_failed',
  ])
})

test('repeats are averaged within a sample, and samples without a value are left out', () => {
  const slots = [0, 0, 1, 1].map((cell, i) => ({ cell, repeat: i % 2 }))
  const columns = columnsOf({
    rows: 3,
    slots,
    columns: {
      status: [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1],
      'score.exact': [1, 0, 1, 0, 1, NaN, 1, 0, NaN, 1, NaN, NaN],
    },
  })
  const values = columns.scores.get('exact') as Float32Array
  const sides = [
    [0, 1],
    [2, 3],
  ] as const
  const scored = pairsOf(columns, { values, ofFailed: true }, ALL(3), sides)
  expect([...scored.before]).toEqual([0.5, 0.5])
  expect([...scored.after]).toEqual([1, 0])
  const answersAlone = pairsOf(columns, { values, ofFailed: false }, ALL(3), sides)
  expect([...answersAlone.after]).toEqual([1])
})
