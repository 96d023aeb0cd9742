import { expect, it } from 'vitest'
import { Columns, readIds } from '../../src/data/columns'
import type { Manifest } from '../../src/data/types'
import { smallBoard } from '../small_board'

it('reads the value of a row and a slot', () => {
  const { columns } = smallBoard()
  expect(columns.latency[columns.at(2, 1)]).toBe(60_000)
  expect(columns.status[columns.at(1, 0)]).toBe(2)
  expect(columns.fields.get('language')?.[1]).toBe(1)
  expect(columns.scores.get('exact')?.[columns.at(0, 0)]).toBe(1)
})

it('takes a column that is not there as unknown', () => {
  const { columns } = smallBoard()
  expect(columns.first.every(Number.isNaN)).toBe(true)
  expect([...columns.end].length).toBe(8)
})

it('refuses a column of another type or length', () => {
  const { manifest } = smallBoard()
  const other = (changed: object) => ({
    ...manifest,
    columns: manifest.columns.map((c) => (c.name === 'latency' ? { ...c, ...changed } : c)),
  })
  const index = new ArrayBuffer(1024)
  expect(() => new Columns(other({ type: 'u32' }), index)).toThrow('latency')
  expect(() => new Columns(other({ count: 3 }), index)).toThrow('latency')
})

it('reads ids of any script', () => {
  const bytes = new TextEncoder().encode('xxxx["가-1","\\ud800"]')
  const manifest = { ids: { offset: 4, bytes: bytes.length - 4 } } as Manifest
  expect(readIds(manifest, bytes.buffer)).toEqual(['가-1', '\ud800'])
})
