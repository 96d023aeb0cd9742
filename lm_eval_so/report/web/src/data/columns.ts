/** The columns of an index as typed arrays: what filters, table and charts compute on. */
import type { ColumnType, Manifest } from './types'

export const OWED = 0
export const OK = 1
export const ERROR = 2
export const TIMEOUT = 3

export const TRUNCATED = 1
export const REFUSED = 2
export const EMPTY = 4
export const TOOL_CALLS = 8
export const REASONING = 16
export const CHOICES = 32

/** In the column `answer`: no answer. */
export const NO_ANSWER = 0xffff

export type Numbers = Uint8Array | Uint16Array | Uint32Array | Float32Array

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array }

/**
 * Columns of results are slot-major: the value of (row, slot) stands at `slot * rows + row`.
 * A column that the index lacks is all zero, or NaN where it holds floats.
 */
export class Columns {
  readonly rows: number
  readonly slots: number
  readonly status: Uint8Array
  readonly flags: Uint8Array
  readonly error: Uint16Array
  readonly finish: Uint8Array
  readonly latency: Float32Array
  readonly first: Float32Array
  readonly input: Float32Array
  readonly output: Float32Array
  readonly cost: Float32Array
  readonly length: Uint32Array
  readonly answer: Uint16Array
  readonly start: Float32Array
  readonly end: Float32Array
  readonly attempts: Uint8Array
  readonly tagset: Uint32Array
  readonly fields: ReadonlyMap<string, Uint8Array>
  readonly scores: ReadonlyMap<string, Float32Array>

  constructor(manifest: Manifest, index: ArrayBuffer) {
    this.rows = manifest.rows
    this.slots = manifest.slots.length
    const results = this.rows * this.slots
    const named = new Map(manifest.columns.map((column) => [column.name, column]))
    const read = (name: string, type: ColumnType, count: number): Numbers => {
      const column = named.get(name)
      if (!column)
        return type === 'f32' ? new Float32Array(count).fill(NaN) : new ARRAYS[type](count)
      if (column.type !== type || column.count !== count) {
        throw new Error(`column ${name}: ${column.type} x ${column.count}, not ${type} x ${count}`)
      }
      return new ARRAYS[type](index, column.offset, count)
    }
    this.status = read('status', 'u8', results) as Uint8Array
    this.flags = read('flags', 'u8', results) as Uint8Array
    this.error = read('error', 'u16', results) as Uint16Array
    this.finish = read('finish', 'u8', results) as Uint8Array
    this.latency = read('latency', 'f32', results) as Float32Array
    this.first = read('first', 'f32', results) as Float32Array
    this.input = read('input', 'f32', results) as Float32Array
    this.output = read('output', 'f32', results) as Float32Array
    this.cost = read('cost', 'f32', results) as Float32Array
    this.length = read('length', 'u32', results) as Uint32Array
    this.answer = read('answer', 'u16', results) as Uint16Array
    this.start = read('start', 'f32', results) as Float32Array
    this.end = read('end', 'f32', results) as Float32Array
    this.attempts = read('attempts', 'u8', results) as Uint8Array
    this.tagset = read('tagset', 'u32', this.rows) as Uint32Array
    this.fields = new Map(
      manifest.fields.map(({ name }) => [
        name,
        read(`field.${name}`, 'u8', this.rows) as Uint8Array,
      ]),
    )
    this.scores = new Map(
      manifest.scores.map((name) => [name, read(`score.${name}`, 'f32', results) as Float32Array]),
    )
  }

  at(row: number, slot: number): number {
    return slot * this.rows + row
  }
}

/** The ids of the rows, a JSON array inside the index. */
export function readIds(manifest: Manifest, index: ArrayBuffer): string[] {
  const bytes = new Uint8Array(index, manifest.ids.offset, manifest.ids.bytes)
  return JSON.parse(new TextDecoder().decode(bytes)) as string[]
}
