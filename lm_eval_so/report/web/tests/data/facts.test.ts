import { expect, it } from 'vitest'
import { factsOf, highest, sortRows } from '../../src/data/facts'
import { repeatsOf } from '../../src/data/repeats'
import { columnsOf } from '../board'
import { smallBoard } from '../small_board'

it('counts samples of each kind', () => {
  const { counts } = factsOf(smallBoard().columns, [0, 1])
  expect(counts).toEqual({
    different: 1,
    failed: 2,
    truncated: 1,
    refused: 1,
    empty: 1,
    owed: 1,
  })
})

it('knows the extremes of a row over its slots', () => {
  const facts = factsOf(smallBoard().columns, [0, 1])
  expect([...facts.latency]).toEqual([900, 2500, 60_000, 400])
  expect([...facts.length]).toEqual([6, 5, 900, 0])
  expect(facts.cost[0]).toBeCloseTo(0.2)
})

it('sorts by value, ties and unknown values in row order', () => {
  const values = [3, Number.NaN, -1, 3, 0, -0.5, Number.NaN]
  const rows = Uint32Array.from(values.keys())
  expect([...sortRows(rows, values, false)]).toEqual([2, 5, 4, 0, 3, 1, 6])
  expect([...sortRows(rows, values, true)]).toEqual([0, 3, 4, 5, 2, 1, 6])
})

it('takes the 20 highest, the first of equal ones', () => {
  const values = Array.from({ length: 50 }, (_, row) => (row % 2 ? 7 : Number.NaN))
  const rows = highest(Uint32Array.from(values.keys()), values)
  expect([...rows]).toEqual(Array.from({ length: 20 }, (_, n) => 2 * n + 1))
})

it('shows the answer that most repeats gave', () => {
  const slots = [0, 1, 2, 3].map((repeat) => ({ cell: 0, repeat }))
  const columns = columnsOf({
    rows: 1,
    slots,
    columns: { status: [2, 1, 1, 1], answer: [0xffff, 0, 1, 1] },
  })
  expect(repeatsOf(columns, [0, 1, 2, 3], 0)).toEqual({ slot: 2, ok: 3, equal: 2, of: 4 })
})

it('shows the failure where no repeat has an answer', () => {
  const slots = [0, 1].map((repeat) => ({ cell: 0, repeat }))
  const columns = columnsOf({ rows: 1, slots, columns: { status: [0, 2] } })
  expect(repeatsOf(columns, [0, 1], 0)).toEqual({ slot: 1, ok: 0, equal: 0, of: 2 })
})
