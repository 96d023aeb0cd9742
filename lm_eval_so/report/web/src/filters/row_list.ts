/** A list of samples that another part of the page names, as a filter of the table. */
import { cellName } from '../cell_names'
import { CHANGES, type Change, changes } from '../compare/changes'
import type { Columns } from '../data/columns'
import { BITS, type Fact, factsOf } from '../data/facts'
import { type Key, t } from '../text'

/** Samples of which a cell has a fact, or that changed from one cell to another. */
export type RowList =
  | { kind: Fact; cells: readonly [number] }
  | { kind: Change; cells: readonly [number, number] }

const FACTS = Object.keys(BITS)

/** "failed.2", "newly_ok.0.1"; null where it is neither. */
export function readList(text: string): RowList | null {
  const [kind = '', ...rest] = text.split('.')
  const cells = rest.map(Number)
  if (!cells.every((cell) => Number.isInteger(cell) && cell >= 0)) return null
  if (cells.length === 1 && FACTS.includes(kind)) return { kind, cells } as unknown as RowList
  const isChange = (CHANGES as readonly string[]).includes(kind)
  return isChange && cells.length === 2 ? ({ kind, cells } as unknown as RowList) : null
}

export function writeList(list: RowList | null): string {
  return list ? [list.kind, ...list.cells].join('.') : ''
}

function isOfChange(list: RowList): list is Extract<RowList, { kind: Change }> {
  return list.cells.length === 2
}

export function nameOf(list: RowList): string {
  const names = list.cells.map(cellName)
  const what = t((isOfChange(list) ? `compare.${list.kind}` : `chip.${list.kind}`) as Key)
  return `${what}: ${names.join(' → ')}`
}

/** A byte a row: 1 where it is in the list. */
export function listed(
  list: RowList,
  columns: Columns,
  slotsOf: readonly (readonly number[])[],
): Uint8Array {
  const [first, second] = list.cells.map((cell) => slotsOf[cell] ?? [])
  if (!isOfChange(list)) {
    const bit = BITS[list.kind]
    return factsOf(columns, first ?? []).bits.map((bits) => (bits & bit ? 1 : 0))
  }
  const all = Uint32Array.from({ length: columns.rows }, (_, row) => row)
  const found = new Uint8Array(columns.rows)
  for (const row of changes(columns, all, first ?? [], second ?? [])[list.kind]) found[row] = 1
  return found
}
