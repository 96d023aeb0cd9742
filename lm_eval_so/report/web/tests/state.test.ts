import { beforeEach, expect, it, vi } from 'vitest'
import { readHash, writeHash } from '../src/data/hash'
import { smallBoard } from './small_board'

vi.stubGlobal('location', { hash: '', pathname: '/page.html', search: '' })
const state = await import('../src/state')
const { chipCounts, isFiltered, matching, neighbour } = await import('../src/filters/matching')

const shown = () => [...matching.value].map((row) => state.board.value?.ids[row]).join(' ')

beforeEach(() => {
  state.board.value = smallBoard()
  state.restore('')
})

it.each([
  '',
  '#q=status%3Aerror%20a%26b%3Dc&chip=different,failed&tags=a%2Cb,c',
  '#meta.language=%22ko%22,null',
  '#cells=0,2&ref=2&sort=-latency&view=charts&sample=x%20%231&nth=2',
  '#sample=',
  '#meta.constructor=1&meta.__proto__=2&meta.toString=3',
])('a hash comes back as it was: %s', (hash) => {
  expect(writeHash(readHash(hash))).toBe(hash)
})

it('takes nothing from a hash that the page does not have', () => {
  state.restore('#chip=odd,failed&view=odd&ref=9&cells=7&sample=none&nth=x&q=%E0%A4%A')
  expect(state.chips.value).toEqual(['failed'])
  expect(state.view.value).toBe('table')
  expect(state.reference.value).toBe(0)
  expect(state.shownCells.value).toEqual([0, 1])
  expect(state.openRow.value).toBe(-1)
})

it('finds the sample of a hash, the second of an id too', () => {
  const board = smallBoard()
  state.board.value = { ...board, ids: ['x', 'y', 'x', 'z'] }
  state.restore('#sample=x&nth=2')
  expect(state.openRow.value).toBe(2)
  expect(state.hash.value).toBe('#sample=x&nth=2')
})

it('filters by chips, tags, metadata and query together', () => {
  expect(shown()).toBe('a-1 a-2 b-1 b-2')
  expect(isFiltered.value).toBe(false)
  state.chips.value = ['failed']
  expect(shown()).toBe('a-2 b-1')
  state.tags.value = ['Refund', 'billing']
  expect(shown()).toBe('b-1')
  state.clearFilters()
  state.fields.value = new Map([['language', ['"EN"', 'null']]])
  expect(shown()).toBe('a-1 b-1 b-2')
  state.query.value = 'is:empty'
  expect(shown()).toBe('b-2')
  expect(isFiltered.value).toBe(true)
})

it('filters nothing by a query that cannot be read', () => {
  state.query.value = 'lateny>2'
  expect(shown()).toBe('a-1 a-2 b-1 b-2')
})

it('orders by the chips Slowest and Longest, and as asked', () => {
  state.chips.value = ['slowest']
  expect(shown()).toBe('b-1 a-2 a-1 b-2')
  state.chips.value = ['longest']
  expect(shown()).toBe('b-1 a-1 a-2 b-2')
  state.chips.value = []
  state.sort.value = '-cost'
  expect(shown()).toBe('a-1 b-1 a-2 b-2')
})

it('counts over the cells that are shown', () => {
  expect(chipCounts.value).toMatchObject({ different: 1, failed: 2, owed: 1, slowest: 4 })
  state.hidden.value = [1]
  expect(chipCounts.value).toMatchObject({ different: 0, failed: 1, owed: 0, slowest: 4 })
})

it('steps through what is shown, and stays at its ends', () => {
  state.chips.value = ['failed']
  state.openRow.value = 1
  expect([neighbour(-1), neighbour(1)]).toEqual([1, 2])
  state.openRow.value = 0
  expect(neighbour(1)).toBe(1)
})
