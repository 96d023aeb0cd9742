/** Values of some results, picked out of a column. */
import { type Columns, type Numbers, OK } from '../data/columns'

/** Rows and slots whose results are meant. */
export interface Picked {
  rows: Uint32Array
  slots: readonly number[]
}

/** Known values of answered results, as Python's summary counts them: errors have none. */
export function answered(columns: Columns, column: Numbers, { rows, slots }: Picked): Float64Array {
  const found = new Float64Array(rows.length * slots.length)
  let count = 0
  for (const slot of slots) {
    const base = slot * columns.rows
    for (const row of rows) {
      const value = column[base + row] as number
      if (columns.status[base + row] === OK && !Number.isNaN(value)) found[count++] = value
    }
  }
  return found.subarray(0, count)
}

export function everyRow(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, row) => row)
}

export interface Total {
  sum: number
  known: number
}

export function total(values: Float64Array): Total {
  return { sum: values.reduce((sum, value) => sum + value, 0), known: values.length }
}
