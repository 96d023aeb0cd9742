/** Which rows are shown, and in which order. */
import { computed, effect, signal } from '@preact/signals'
import { BITS, type Fact, type Facts, factsOf, highest, sortRows } from '../data/facts'
import type { Board, Source } from '../data/source'
import { type Compiled, compile, holds } from '../query/evaluate'
import { parse, type Query, QueryError } from '../query/parse'
import { runSearch, type Search } from '../query/text_search'
import {
  board,
  type Chip,
  chips,
  fields,
  openRow,
  query,
  rowList,
  shownSlots,
  slotsOf,
  sort,
  source,
  tags,
} from '../state'
import { listed, type RowList, readList } from './row_list'

export const facts = computed<Facts | null>(() =>
  board.value ? factsOf(board.value.columns, shownSlots.value) : null,
)

const parsed = computed<{ query: Query; error: QueryError | null }>(() => {
  try {
    return { query: parse(query.value), error: null }
  } catch (error) {
    if (error instanceof QueryError) return { query: [], error }
    throw error
  }
})

/** Why the query cannot be read; nothing is filtered by it then. */
export const queryError = computed(() => parsed.value.error)

const compiled = computed<Compiled | null>(() =>
  board.value && facts.value ? compile(parsed.value.query, board.value, facts.value) : null,
)

/** How far the search over the text is, in blocks; it is cut where one could not be read. */
export interface Searched {
  done: number
  of: number
  isCut: boolean
}

/** Null where nothing is searched. */
export const searched = signal<Searched | null>(null)
const found = signal<readonly Uint8Array[]>([])

/** The list that the table is narrowed to; null where there is none, or the page has no such cell. */
export const list = computed<RowList | null>(() => {
  const read = readList(rowList.value)
  const cells = board.value?.manifest.cells.length ?? 0
  return read?.cells.every((cell) => cell < cells) ? read : null
})

const inList = computed<Uint8Array | null>(() =>
  list.value && board.value ? listed(list.value, board.value.columns, slotsOf.value) : null,
)

/** Tests of a row by its columns alone, the query's excluded. */
function columnTests(shown: Board, shownFacts: Facts): ((row: number) => boolean)[] {
  const { columns, manifest } = shown
  const tests: ((row: number) => boolean)[] = []
  let mask = 0
  for (const chip of chips.value) mask |= BITS[chip as Fact] ?? 0
  if (mask) tests.push((row) => ((shownFacts.bits[row] as number) & mask) === mask)
  if (tags.value.length > 0) {
    const wanted = tags.value.map((name) => manifest.tags.indexOf(name))
    const sets = manifest.tagsets.map((set) => wanted.every((tag) => set.includes(tag)))
    tests.push((row) => sets[columns.tagset[row] as number] ?? false)
  }
  const members = inList.value
  if (members) tests.push((row) => members[row] === 1)
  for (const [name, wanted] of fields.value) {
    const column = columns.fields.get(name)
    const values = manifest.fields.find((field) => field.name === name)?.values
    if (!column || !values || wanted.length === 0) continue
    const allowed = values.map((value) => wanted.includes(JSON.stringify(value)))
    tests.push((row) => allowed[column[row] as number] ?? false)
  }
  return tests
}

function select(shown: Board, test: (row: number) => boolean): Uint32Array {
  const rows = new Uint32Array(shown.manifest.rows)
  let count = 0
  for (let row = 0; row < rows.length; row++) if (test(row)) rows[count++] = row
  return rows.slice(0, count)
}

/** Rows that match, in the dataset's order; those whose text is not read yet are left out. */
const selected = computed<Uint32Array>(() => {
  const [shown, shownFacts, terms] = [board.value, facts.value, compiled.value]
  if (!shown || !shownFacts || !terms) return new Uint32Array()
  const tests = columnTests(shown, shownFacts)
  const slots = shownSlots.value
  const inText = terms.textTerms.length > 0 ? found.value : []
  if (terms.groups.length > 0) tests.push((row) => holds(terms, row, slots, inText) === true)
  if (tests.length === 0) return select(shown, () => true)
  return select(shown, (row) => {
    for (let at = 0; at < tests.length; at++) if (!tests[at]?.(row)) return false
    return true
  })
})

/** What rows can be sorted by; the values, and whether the highest come first. */
export const SORTS = ['', 'id', '-latency', '-length', '-cost', '-distinct'] as const

function sorted(rows: Uint32Array, shown: Board, shownFacts: Facts, by: string): Uint32Array {
  const falling = by.startsWith('-')
  const name = by.replace(/^-/, '')
  if (name === 'id') {
    const { ids } = shown
    return rows.slice().sort((a, b) => ((ids[a] as string) < (ids[b] as string) ? -1 : 1))
  }
  if (name === 'latency' || name === 'length' || name === 'cost' || name === 'distinct') {
    return sortRows(rows, shownFacts[name], falling)
  }
  return rows
}

/** The rows of the table, top to bottom. */
export const matching = computed<Uint32Array>(() => {
  const [shown, shownFacts] = [board.value, facts.value]
  let rows = selected.value
  if (!shown || !shownFacts) return rows
  if (chips.value.includes('longest')) rows = highest(rows, shownFacts.length)
  if (chips.value.includes('slowest')) rows = highest(rows, shownFacts.latency)
  return sort.value ? sorted(rows, shown, shownFacts, sort.value) : rows
})

/** Samples behind each chip, over the cells that are shown and all rows. */
export const chipCounts = computed<Record<Chip, number> | null>(() => {
  const [shown, shownFacts] = [board.value, facts.value]
  if (!shown || !shownFacts) return null
  const all = select(shown, () => true)
  return {
    ...shownFacts.counts,
    slowest: highest(all, shownFacts.latency).length,
    longest: highest(all, shownFacts.length).length,
  }
})

export const isFiltered = computed(
  () =>
    query.value.trim() !== '' ||
    chips.value.length > 0 ||
    tags.value.length > 0 ||
    list.value !== null ||
    [...fields.value.values()].some((wanted) => wanted.length > 0),
)

/** The blocks of rows for which the columns alone do not rule the query out. */
function undecided(terms: Compiled, shown: Board, slots: readonly number[]): number[] {
  const { rows, block_rows } = shown.manifest
  const found = new Set<number>()
  for (let row = 0; row < rows; row++) {
    const block = Math.floor(row / block_rows)
    if (!found.has(block) && holds(terms, row, slots, []) !== false) found.add(block)
  }
  return [...found]
}

/** Begins a search of the text. Returns what ends it. */
function search(terms: Compiled, shown: Board, from: Source): () => void {
  const { rows, block_rows } = shown.manifest
  const blocks = undecided(terms, shown, shownSlots.peek())
  const going: Search = {
    terms: terms.textTerms,
    found: terms.textTerms.map(() => new Uint8Array(rows)),
  }
  let isOver = false
  const say = (done: number, isCut = false) => {
    found.value = [...going.found]
    searched.value = { done, of: blocks.length, isCut }
  }
  say(0)
  runSearch(going, from, blocks, block_rows, say, () => isOver).catch(() => {
    if (!isOver) say(blocks.length, true)
  })
  return () => {
    isOver = true
  }
}

/** Searches the text whenever the query needs it. Call once. */
export function followQuery(): void {
  effect(() => {
    const [shown, from, terms] = [board.value, source.value, compiled.value]
    if (shown && from && terms && terms.textTerms.length > 0) return search(terms, shown, from)
    found.value = []
    searched.value = null
    return undefined
  })
}

/** The neighbour of the open sample in the table's order; the first where it is filtered out. */
export function neighbour(step: number): number {
  const rows = matching.peek()
  const at = rows.indexOf(openRow.peek())
  return rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))] ?? -1
}
