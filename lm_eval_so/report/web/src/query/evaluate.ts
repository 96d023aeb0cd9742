/** A query over the columns. Terms that need text are answered by a search over the blocks. */
import { OWED } from '../data/columns'
import { BITS, type Fact, type Facts } from '../data/facts'
import type { Board } from '../data/source'
import type { Scalar } from '../data/types'
import { STATUSES } from './fields'
import { fold, type Op, type Query, type Term } from './parse'

type OfRow = (row: number) => boolean
type OfResult = (row: number, slot: number) => boolean

/** What one group needs; it holds where any of these holds. */
interface Group {
  ofRow: OfRow[]
  ofResult: OfResult[]
  /** Numbers of terms that a search over the text answers. */
  ofText: number[]
}

export interface Compiled {
  groups: Group[]
  /** Terms that need the text of rows. */
  textTerms: Term[]
}

/** What a search has found so far: for each text term a byte a row, 0 unknown, 1 no, 2 yes. */
export type Found = readonly Uint8Array[]

export function compile(query: Query, board: Board, facts: Facts): Compiled {
  const textTerms: Term[] = []
  const groups = query.map((terms) => {
    const group: Group = { ofRow: [], ofResult: [], ofText: [] }
    for (const term of terms) {
      const ofResult = resultTest(term, board)
      const ofRow = ofResult ? null : rowTest(term, board, facts)
      if (ofResult) group.ofResult.push(ofResult)
      else if (ofRow) group.ofRow.push(ofRow)
      else group.ofText.push(textTerms.push(term) - 1)
    }
    return group
  })
  return { groups, textTerms }
}

/** Whether a row holds; null where that cannot be said before its text is read. */
export function holds(
  compiled: Compiled,
  row: number,
  slots: readonly number[],
  found: Found,
): boolean | null {
  // Of every row, at each key: without closures and lists of its own.
  const { groups } = compiled
  let unknown = false
  let ofResults = 0
  for (let at = 0; at < groups.length; at++) {
    const said = settled(groups[at] as Group, row, found)
    if (said === NO) return false
    if (said === WAITS) unknown = true
    if (said === ASKS_RESULTS) ofResults++
  }
  if (ofResults > 0 && !oneHolds(groups, row, slots, found)) return false
  return unknown ? null : true
}

/** What the row itself says of a group. */
const YES = 0
const NO = 1
const WAITS = 2
const ASKS_RESULTS = 3

function settled({ ofRow, ofText, ofResult }: Group, row: number, found: Found): number {
  for (let at = 0; at < ofRow.length; at++) if (ofRow[at]?.(row)) return YES
  let waits = false
  for (let at = 0; at < ofText.length; at++) {
    const said = found[ofText[at] as number]?.[row]
    if (said === 2) return YES
    if (!said) waits = true
  }
  if (waits) return WAITS
  return ofResult.length > 0 ? ASKS_RESULTS : NO
}

/** Whether all groups that ask the results hold for one and the same. */
function oneHolds(
  groups: readonly Group[],
  row: number,
  slots: readonly number[],
  found: Found,
): boolean {
  for (let nth = 0; nth < slots.length; nth++) {
    const slot = slots[nth] as number
    let all = true
    for (let at = 0; all && at < groups.length; at++) {
      const group = groups[at] as Group
      const asks = group.ofResult.length > 0 && settled(group, row, found) === ASKS_RESULTS
      if (asks) all = anyHolds(group.ofResult, row, slot)
    }
    if (all) return true
  }
  return false
}

function anyHolds(tests: readonly OfResult[], row: number, slot: number): boolean {
  for (let at = 0; at < tests.length; at++) if (tests[at]?.(row, slot)) return true
  return false
}

function compare(op: Op, value: number, with_: number): boolean {
  if (op === '>') return value > with_
  if (op === '>=') return value >= with_
  if (op === '<') return value < with_
  if (op === '<=') return value <= with_
  return value === with_
}

/** Substring for ":", the whole for "=". */
export function sameText(term: Term, text: string): boolean {
  return term.op === '=' ? fold(text) === term.value : fold(text).includes(term.value)
}

/** Metadata: the value itself, or one of a list. Numbers can be compared. */
export function sameValue(term: Term, value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => sameValue(term, one))
  if (term.op === ':' || term.op === '=') {
    return (
      value !== undefined &&
      fold(typeof value === 'object' ? JSON.stringify(value) : String(value)) === term.value
    )
  }
  return typeof value === 'number' && compare(term.op, value, term.number)
}

function rowTest(term: Term, board: Board, facts: Facts): OfRow | null {
  const { columns, manifest, ids } = board
  const { negated, field } = term
  if (field === 'id') return (row) => sameText(term, ids[row] as string) !== negated
  if (field === 'is') {
    const bit = BITS[term.value as Fact]
    return (row) => (((facts.bits[row] as number) & bit) !== 0) !== negated
  }
  if (field === 'tag') {
    const tag = new Set(
      manifest.tags.flatMap((name, at) => (fold(name) === term.value ? [at] : [])),
    )
    const sets = manifest.tagsets.map((set) => set.some((one) => tag.has(one)))
    return (row) => (sets[columns.tagset[row] as number] ?? false) !== negated
  }
  const column = columns.fields.get(field.replace(/^meta\./, ''))
  if (!field.startsWith('meta.') || !column) return null
  const values = manifest.fields.find(({ name }) => `meta.${name}` === field)?.values ?? []
  const matches = values.map((value: Scalar) => sameValue(term, value))
  return (row) => (matches[column[row] as number] ?? false) !== negated
}

/** A value that is not known holds for no comparison, negated ones included. */
function numberTest(term: Term, board: Board, values: ArrayLike<number>): OfResult {
  const { rows, status } = board.columns
  // The columns hold 32-bit floats: 0.1 there is not 0.1 here.
  const with_ = Math.fround(term.number)
  return (row, slot) => {
    const at = slot * rows + row
    const value = values[at] as number
    if (status[at] === OWED || Number.isNaN(value)) return false
    return compare(term.op, value, with_) !== term.negated
  }
}

function wordTest(term: Term, board: Board, column: ArrayLike<number>, words: string[]): OfResult {
  const { rows, status } = board.columns
  const matches = words.map((word) => fold(word) === term.value)
  const ofOwed = term.field === 'status'
  return (row, slot) => {
    const at = slot * rows + row
    if (!ofOwed && status[at] === OWED) return false
    return (matches[column[at] as number] ?? false) !== term.negated
  }
}

function resultTest(term: Term, board: Board): OfResult | null {
  const { columns, manifest } = board
  const { field } = term
  if (field === 'status') return wordTest(term, board, columns.status, STATUSES)
  if (field === 'error') return wordTest(term, board, columns.error, manifest.errors)
  if (field === 'finish') return wordTest(term, board, columns.finish, manifest.finish_reasons)
  if (field === 'cell') {
    const cells = manifest.cells.map((cell) => sameText(term, cell.name) !== term.negated)
    return (_, slot) => cells[manifest.slots[slot]?.cell ?? -1] ?? false
  }
  if (field.startsWith('score.')) {
    const scores = columns.scores.get(field.slice(6))
    return scores ? numberTest(term, board, scores) : () => false
  }
  const numbers = {
    latency: columns.latency,
    first: columns.first,
    input: columns.input,
    output: columns.output,
    cost: columns.cost,
    length: columns.length,
    attempts: columns.attempts,
  }
  return Object.hasOwn(numbers, field)
    ? numberTest(term, board, numbers[field as keyof typeof numbers])
    : null
}
