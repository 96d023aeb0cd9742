import { beforeEach, expect, it, vi } from 'vitest'
import { readList, writeList } from '../../src/filters/row_list'
import { smallBoard } from '../small_board'

vi.stubGlobal('location', { hash: '', pathname: '/page.html', search: '' })
const state = await import('../../src/state')
const { isFiltered, matching } = await import('../../src/filters/matching')

const shown = () => [...matching.value].map((row) => state.board.value?.ids[row]).join(' ')

beforeEach(() => {
  state.board.value = smallBoard()
  state.restore('')
})

it.each(['failed.1', 'truncated.0', 'newly_failed.0.1'])('%s is a list', (text) => {
  expect(writeList(readList(text))).toBe(text)
})

it.each([
  '',
  'failed',
  'failed.0.1',
  'changed.0',
  'odd.0',
  'failed.-1',
  'failed.x',
  'constructor.0',
])('%j is none', (text) => {
  expect(readList(text)).toBeNull()
})

it.each([
  ['failed.0', 'a-2'],
  ['failed.1', 'b-1'],
  ['truncated.0', 'b-1'],
  ['owed.1', 'b-2'],
  ['newly_ok.0.1', 'a-2'],
  ['newly_failed.0.1', 'b-1'],
  ['missing.0.1', 'b-2'],
  ['changed.0.1', 'a-1'],
])('%s narrows the table to %s', (list, ids) => {
  state.rowList.value = list
  expect(shown()).toBe(ids)
  expect(isFiltered.value).toBe(true)
  expect(state.hash.value).toBe(`#list=${list}`)
})

it('counts a cell that is hidden, too, since its card does', () => {
  state.hidden.value = [1]
  state.rowList.value = 'failed.1'
  expect(shown()).toBe('b-1')
})

it('is one filter beside others, and is cleared with them', () => {
  state.rowList.value = 'failed.0'
  state.query.value = 'tag:billing'
  expect(shown()).toBe('')
  state.clearFilters()
  expect(shown()).toBe('a-1 a-2 b-1 b-2')
})

it('filters nothing where the page has no such cell', () => {
  state.rowList.value = 'failed.7'
  expect(shown()).toBe('a-1 a-2 b-1 b-2')
  expect(isFiltered.value).toBe(false)
})
