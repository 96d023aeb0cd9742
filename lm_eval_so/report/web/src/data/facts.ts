/** What the chips say of each row, over the slots that are shown. */
import {
  type Columns,
  EMPTY,
  ERROR,
  NO_ANSWER,
  OK,
  OWED,
  REFUSED,
  TIMEOUT,
  TRUNCATED,
} from './columns'

export const BITS = {
  different: 1,
  failed: 2,
  truncated: 4,
  refused: 8,
  empty: 16,
  owed: 32,
} as const
export type Fact = keyof typeof BITS

/** Samples behind the chips Slowest and Longest. */
export const EXTREMES = 20

export interface Facts {
  /** A row's facts, as BITS. */
  bits: Uint8Array
  /** The highest latency of a row in milliseconds, NaN where none is known. */
  latency: Float32Array
  /** The longest answer of a row in code points, NaN where it has none. */
  length: Float32Array
  /** US dollars, NaN where none is known. */
  cost: Float32Array
  /** Different ok answers of a row. */
  distinct: Uint8Array
  counts: Record<Fact, number>
}

export function factsOf(columns: Columns, slots: readonly number[]): Facts {
  const { rows } = columns
  const facts: Facts = {
    bits: new Uint8Array(rows),
    latency: new Float32Array(rows).fill(NaN),
    length: new Float32Array(rows).fill(NaN),
    cost: new Float32Array(rows).fill(NaN),
    distinct: new Uint8Array(rows),
    counts: { different: 0, failed: 0, truncated: 0, refused: 0, empty: 0, owed: 0 },
  }
  for (const slot of slots) addSlot(columns, slot, facts)
  countDistinct(columns, slots, facts)
  for (const name of Object.keys(BITS) as Fact[]) {
    for (let row = 0; row < rows; row++) {
      if ((facts.bits[row] as number) & BITS[name]) facts.counts[name]++
    }
  }
  return facts
}

function addSlot(columns: Columns, slot: number, facts: Facts): void {
  const from = slot * columns.rows
  for (let row = 0; row < columns.rows; row++) {
    const at = from + row
    const status = columns.status[at]
    const flags = columns.flags[at] as number
    let bits = 0
    if (status === OWED) bits = BITS.owed
    else if (status === ERROR || status === TIMEOUT) bits = BITS.failed
    if (flags & TRUNCATED) bits |= BITS.truncated
    if (flags & REFUSED) bits |= BITS.refused
    if (flags & EMPTY) bits |= BITS.empty
    facts.bits[row] = (facts.bits[row] as number) | bits
    raise(facts.latency, row, columns.latency[at] as number)
    if (status === OK) raise(facts.length, row, columns.length[at] as number)
    const usd = columns.cost[at] as number
    if (!Number.isNaN(usd)) {
      const before = facts.cost[row] as number
      facts.cost[row] = Number.isNaN(before) ? usd : before + usd
    }
  }
}

function raise(values: Float32Array, row: number, value: number): void {
  // A comparison with NaN is false: an unknown value raises nothing.
  if (value > (values[row] as number) || Number.isNaN(values[row])) values[row] = value
}

function countDistinct(columns: Columns, slots: readonly number[], facts: Facts): void {
  const seen = new Int32Array(NO_ANSWER).fill(-1)
  for (let row = 0; row < columns.rows; row++) {
    let distinct = 0
    for (const slot of slots) {
      const answer = columns.answer[slot * columns.rows + row] as number
      if (answer === NO_ANSWER || seen[answer] === row) continue
      seen[answer] = row
      distinct++
    }
    facts.distinct[row] = Math.min(distinct, 255)
    if (distinct > 1) facts.bits[row] = (facts.bits[row] as number) | BITS.different
  }
}

const ROW_BITS = 2 ** 21
const bitsOf = new Uint32Array(1)
const floatOf = new Float32Array(bitsOf.buffer)

/** A number that orders as the float does: its bits, mirrored where it is negative. */
function ordered(value: number): number {
  floatOf[0] = value
  const bits = bitsOf[0] as number
  return bits & 0x80000000 ? 0xffffffff - bits : bits + 0x80000000
}

/**
 * The rows by their values; ties in row order, unknown values last.
 * Value and row make one whole number below 2^53, since numbers are sorted without a callback.
 */
export function sortRows(
  rows: Uint32Array,
  values: ArrayLike<number>,
  falling: boolean,
): Uint32Array {
  const keys = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number
    const value = values[row] as number
    const known = Number.isNaN(value) ? 0xffffffff : ordered(value)
    const rank = falling && !Number.isNaN(value) ? 0xfffffffe - known : known
    keys[i] = Math.max(0, rank) * ROW_BITS + row
  }
  keys.sort()
  return Uint32Array.from(keys, (key) => key % ROW_BITS)
}

/** The rows with the highest known values, highest first; ties in row order. */
export function highest(rows: Uint32Array, values: ArrayLike<number>): Uint32Array {
  const found: number[] = []
  let least = -Infinity
  for (const row of rows) {
    const value = values[row] as number
    // A comparison with NaN is false. Of equal values, the rows of a sorted table come in any order.
    if (!(value >= least)) continue
    const before = (other: number) => value > (values[other] as number)
    const tied = (other: number) => value === values[other] && row < other
    const place = found.findIndex((other) => before(other) || tied(other))
    if (place >= 0) found.splice(place, 0, row)
    else if (found.length < EXTREMES) found.push(row)
    if (found.length > EXTREMES) found.pop()
    if (found.length === EXTREMES) least = values[found[EXTREMES - 1] as number] as number
  }
  return Uint32Array.from(found)
}
