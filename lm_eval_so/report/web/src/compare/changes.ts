/** What became of each sample from one cell to another. */
import { type Columns, ERROR, NO_ANSWER, type Numbers, OK, OWED, TIMEOUT } from '../data/columns'

export const CHANGES = [
  'newly_failed',
  'newly_ok',
  'changed',
  'both_failed',
  'same',
  'missing',
] as const
export type Change = (typeof CHANGES)[number]

type State = 'ok' | 'failed' | 'owed'

/** Failed if any repeat is; owed if any is, and none failed. */
function stateOf(columns: Columns, row: number, slots: readonly number[]): State {
  let state: State = slots.length > 0 ? 'ok' : 'owed'
  for (const slot of slots) {
    const status = columns.status[slot * columns.rows + row]
    if (status === ERROR || status === TIMEOUT) return 'failed'
    if (status === OWED) state = 'owed'
  }
  return state
}

/** The different answers of a cell, in order. */
function answers(columns: Columns, row: number, slots: readonly number[]): string {
  const found = slots.map((slot) => columns.answer[slot * columns.rows + row] as number)
  return [...new Set(found)].sort((a, b) => a - b).join()
}

/**
 * What happened to a row. Of repeated questions, the sets of different answers are compared.
 * A row whose answer has no number on either side (65,535 different ones) counts as changed.
 */
export function changeOf(
  columns: Columns,
  row: number,
  before: readonly number[],
  after: readonly number[],
): Change {
  const [was, is] = [stateOf(columns, row, before), stateOf(columns, row, after)]
  if (was === 'owed' || is === 'owed') return 'missing'
  if (was === 'failed') return is === 'failed' ? 'both_failed' : 'newly_ok'
  if (is === 'failed') return 'newly_failed'
  const given = answers(columns, row, before)
  const unnumbered = given === String(NO_ANSWER)
  return given === answers(columns, row, after) && !unnumbered ? 'same' : 'changed'
}

/** The rows of each kind, in the order given. */
export function changes(
  columns: Columns,
  rows: Uint32Array,
  before: readonly number[],
  after: readonly number[],
): Record<Change, Uint32Array> {
  const found = Object.fromEntries(CHANGES.map((kind) => [kind, [] as number[]]))
  for (const row of rows) found[changeOf(columns, row, before, after)]?.push(row)
  return Object.fromEntries(
    CHANGES.map((kind) => [kind, Uint32Array.from(found[kind] ?? [])]),
  ) as Record<Change, Uint32Array>
}

export interface Pairs {
  before: Float64Array
  after: Float64Array
}

/** One measure of the results of two cells. */
export interface Measure {
  values: Numbers
  /** Also of failed results, which a score may well be given to; else of answers alone. */
  ofFailed: boolean
}

/** Means of each sample's known values (its repeats), for samples that have one on both sides. */
export function pairsOf(
  columns: Columns,
  measure: Measure,
  rows: Uint32Array,
  [before, after]: readonly [readonly number[], readonly number[]],
): Pairs {
  const [first, second] = [new Float64Array(rows.length), new Float64Array(rows.length)]
  let count = 0
  for (const row of rows) {
    const was = meanOf(columns, measure, row, before)
    const is = meanOf(columns, measure, row, after)
    if (Number.isNaN(was) || Number.isNaN(is)) continue
    first[count] = was
    second[count++] = is
  }
  return { before: first.subarray(0, count), after: second.subarray(0, count) }
}

function meanOf(columns: Columns, measure: Measure, row: number, slots: readonly number[]): number {
  let sum = 0
  let known = 0
  for (const slot of slots) {
    const at = slot * columns.rows + row
    const value = measure.values[at] as number
    const status = columns.status[at]
    if (status === OWED || Number.isNaN(value)) continue
    if (status !== OK && !measure.ofFailed) continue
    sum += value
    known++
  }
  return known > 0 ? sum / known : NaN
}
