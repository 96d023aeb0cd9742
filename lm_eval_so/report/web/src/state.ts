/** The state of the page as signals; what a person chose is kept in the URL's hash. */
import { batch, computed, effect, signal } from '@preact/signals'
import { readHash, type View, writeHash } from './data/hash'
import type { Board, Source } from './data/source'
import type { Row } from './data/types'

export const CHIPS = [
  'different',
  'failed',
  'truncated',
  'refused',
  'empty',
  'owed',
  'slowest',
  'longest',
] as const
export type Chip = (typeof CHIPS)[number]
export const VIEWS: readonly View[] = ['table', 'charts', 'provenance', 'compare']
export type { View }

/** What is shown. Null until it is loaded. */
export const board = signal<Board | null>(null)
/** Why nothing can be shown. */
export const failure = signal<string | null>(null)
/** Set once, by main. */
export const source = signal<Source | null>(null)

/** The typed query, as written. */
export const query = signal('')
export const chips = signal<readonly Chip[]>([])
export const tags = signal<readonly string[]>([])
/** Metadata fields and the values (as JSON) that are asked for. */
export const fields = signal<ReadonlyMap<string, readonly string[]>>(new Map())
/** A list that the table is narrowed to, as `filters/row_list` writes it; "" for none. */
export const rowList = signal('')
/** Indices of cells that are not shown. */
export const hidden = signal<readonly number[]>([])
/** The cell that the others are compared with. */
export const reference = signal(0)
/** A column's name, with "-" before it for descending order; "" is the order of the dataset. */
export const sort = signal('')
export const view = signal<View>('table')
/** The row whose sample is open in the drawer, or -1. */
export const openRow = signal(-1)

/** Indices of the cells that are shown, in the manifest's order. */
export const shownCells = computed<number[]>(() => {
  const all = board.value?.manifest.cells.map((_, index) => index) ?? []
  const shown = all.filter((index) => !hidden.value.includes(index))
  return shown.length > 0 ? shown : all
})

/** Indices of the slots of the cells that are shown. */
export const shownSlots = computed<number[]>(() => {
  const cells = new Set(shownCells.value)
  const slots = board.value?.manifest.slots ?? []
  return slots.flatMap((slot, index) => (cells.has(slot.cell) ? [index] : []))
})

/** Slots of each cell, by cell. */
export const slotsOf = computed<number[][]>(() => {
  const found: number[][] = board.value?.manifest.cells.map(() => []) ?? []
  board.value?.manifest.slots.forEach((slot, index) => {
    found[slot.cell]?.push(index)
  })
  return found
})

/** The row of each id; the first where several share one. */
export const rowOfId = computed<Map<string, number>>(() => {
  const found = new Map<string, number>()
  board.value?.ids.forEach((id, row) => {
    if (!found.has(id)) found.set(id, row)
  })
  return found
})

export function toggled<T>(values: readonly T[], value: T): T[] {
  return values.includes(value) ? values.filter((one) => one !== value) : [...values, value]
}

/** Opens a sample in the drawer; -1 closes it. */
export function openSample(row: number): void {
  openRow.value = row
}

export function openSampleById(id: string): void {
  openRow.value = rowOfId.value.get(id) ?? -1
}

export function clearFilters(): void {
  batch(() => {
    query.value = ''
    chips.value = []
    tags.value = []
    fields.value = new Map()
    rowList.value = ''
  })
}

/** The text of one row, decoded where it has not been. */
export async function textOfRow(row: number): Promise<Row> {
  const shown = board.value
  if (!shown || !source.value) throw new Error('nothing is loaded')
  const per = shown.manifest.block_rows
  const block = await source.value.block(Math.floor(row / per))
  const found = block[row % per]
  if (!found) throw new Error(`block ${Math.floor(row / per)} has no row ${row % per}`)
  return found
}

/** Takes the state from the hash; what the board does not have is left out. */
export function restore(hash: string): void {
  const from = readHash(hash)
  const cells = board.value?.manifest.cells.length ?? 0
  batch(() => {
    query.value = from.query
    chips.value = CHIPS.filter((chip) => from.chips.includes(chip))
    tags.value = from.tags
    fields.value = from.fields
    rowList.value = from.list
    const shown = from.cells
    hidden.value = shown ? [...Array(cells).keys()].filter((cell) => !shown.includes(cell)) : []
    reference.value = from.reference < cells ? from.reference : 0
    sort.value = from.sort
    view.value = from.view
    openRow.value = from.sample === null ? -1 : rowFrom(from.sample, from.nth)
  })
}

/** The row of an id; `nth`, from 1, where several rows share it. -1 where there is none. */
export function rowFrom(id: string, nth: number): number {
  const ids = board.value?.ids ?? []
  let row = ids.indexOf(id)
  for (let n = 1; n < nth && row >= 0; n++) row = ids.indexOf(id, row + 1)
  return row
}

/** 1 for the first row of an id, 2 for the second, where several rows share one id. */
export function nthOf(row: number): number {
  const ids = board.value?.ids ?? []
  const id = ids[row]
  let nth = 1
  for (
    let at = ids.indexOf(id as string);
    at >= 0 && at < row;
    at = ids.indexOf(id as string, at + 1)
  )
    nth++
  return nth
}

export const hash = computed(() =>
  writeHash({
    query: query.value,
    chips: chips.value,
    tags: tags.value,
    fields: fields.value,
    list: rowList.value,
    cells: hidden.value.length > 0 ? shownCells.value : null,
    reference: reference.value,
    sort: sort.value,
    view: view.value,
    sample: board.value?.ids[openRow.value] ?? null,
    nth: openRow.value < 0 ? 1 : nthOf(openRow.value),
  }),
)

/** Binds the state to the URL, both ways. Call once, when a board is there. */
export function bindHash(): void {
  restore(location.hash)
  window.addEventListener('hashchange', () => {
    if (location.hash !== hash.peek()) restore(location.hash)
  })
  effect(() => {
    const wanted = hash.value
    if (location.hash !== wanted) {
      history.replaceState(null, '', wanted || location.pathname + location.search)
    }
  })
}
