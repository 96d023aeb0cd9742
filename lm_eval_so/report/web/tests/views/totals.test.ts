import { expect, test } from 'vitest'
import type { Cell } from '../../src/data/types'
import { figuresOf } from '../../src/views/figures'
import {
  countsOf,
  gathered,
  reasonsOf,
  samplesOf,
  spent,
  varying,
  worst,
} from '../../src/views/totals'
import { counted } from '../../src/views/verdict'
import { columnsOf } from '../board'

function cell(values: Partial<Cell>): Cell {
  return {
    name: 'one',
    settings: {},
    state: 'complete',
    reason: null,
    verdict: { outcome: 'complete', reasons: [] },
    asked: 10,
    counts: { ok: 10, failed: 0, owed: 0 },
    ...values,
  } as Cell
}

test('the verdict of a page is that of its worst cell, and running while one runs', () => {
  const invalid = cell({ verdict: { outcome: 'invalid', reasons: ['gate'] } })
  expect(worst([cell({}), cell({})])).toBe('complete')
  expect(worst([cell({}), cell({ state: 'aborted', verdict: null })])).toBe('partial')
  expect(worst([invalid, cell({ state: 'aborted', verdict: null })])).toBe('invalid')
  expect(worst([invalid, cell({ state: 'running' })])).toBe('running')
})

test('what failed and what is owed stay in the denominator', () => {
  const some = cell({ asked: 990, counts: { ok: 958, failed: 20, owed: 12 } })
  expect(counted(countsOf([some, cell({})]))).toBe('968 of 1,000 answered, 20 failed, 12 not asked')
})

test('samples are counted once whatever the repeats, owed ones included', () => {
  expect(samplesOf([cell({ asked: 30 }), cell({ asked: 10 })], [[0, 1, 2], [3]])).toBe(10)
})

test('a reason that several cells share is told once', () => {
  const stopped = cell({ name: 'two', reason: 'stopped', verdict: null })
  expect(gathered([cell({ reason: 'stopped', verdict: null }), stopped], reasonsOf)).toEqual([
    { sentence: 'stopped', cells: ['one', 'two'] },
  ])
})

test('what varies is listed with its values, each once', () => {
  const of = (model: string) => cell({ settings: { model, backend: 'openai' } })
  expect(varying([of('a'), of('b'), of('a')])).toEqual([{ name: 'model', values: ['a', 'b'] }])
  expect(varying([of('a')])).toEqual([])
})

test('cost is the sum of what is known, and unknown if none is', () => {
  const columns = columnsOf({
    rows: 3,
    slots: [
      { cell: 0, repeat: 0 },
      { cell: 1, repeat: 0 },
    ],
    columns: { status: [1, 1, 2, 1, 1, 1], cost: [0.5, NaN, NaN, NaN, NaN, NaN] },
  })
  const [one, other] = [figuresOf(columns, [0]), figuresOf(columns, [1])]
  expect(one.cost).toEqual({ usd: 0.5, known: 1 })
  expect(spent([one, other])).toEqual({ usd: 0.5, known: 1 })
  expect(spent([other])).toBeNull()
})
