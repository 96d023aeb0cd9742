/** Small boards for tests. */
import { Columns, NO_ANSWER } from '../src/data/columns'
import type { ColumnType, Manifest } from '../src/data/types'

export interface Given {
  rows: number
  slots: { cell: number; repeat: number }[]
  columns: Record<string, number[]>
}

const TYPES: Record<string, ColumnType> = {
  status: 'u8',
  error: 'u16',
  answer: 'u16',
  length: 'u32',
}
const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array }
const NUMBERED = ['latency', 'output', 'cost', 'start', 'end']

/** Columns as an index holds them; what is not given is 0 or NaN, and no answer has a number. */
export function columnsOf({ rows, slots, columns }: Given): Columns {
  const count = rows * slots.length
  const all: Record<string, number[]> = { answer: Array(count).fill(NO_ANSWER), ...columns }
  const index = new ArrayBuffer(Object.keys(all).length * (count + 1) * 4)
  const described = Object.entries(all).map(([name, values], nth) => {
    const type = TYPES[name] ?? 'f32'
    if (type === 'f32' && !NUMBERED.includes(name) && !name.startsWith('score.')) {
      throw new Error(`no column ${name}`)
    }
    const offset = nth * (count + 1) * 4
    new ARRAYS[type](index, offset, count).set(values)
    return { name, type, count, offset }
  })
  const manifest = {
    rows,
    slots,
    columns: described,
    fields: [],
    scores: Object.keys(all).flatMap((name) => (name.startsWith('score.') ? [name.slice(6)] : [])),
  }
  return new Columns(manifest as unknown as Manifest, index)
}

export const ALL = (count: number) => Uint32Array.from({ length: count }, (_, row) => row)
