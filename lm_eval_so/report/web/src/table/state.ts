/** What a person does with the table: where he is, what he expanded. */
import { computed, signal } from '@preact/signals'
import { matching } from '../filters/matching'
import { openRow, reference, shownCells, slotsOf } from '../state'

/** The place of the active row in the table, from 0. */
export const active = signal(0)
/** Rows whose repeats are shown one by one. */
export const expanded = signal<ReadonlySet<number>>(new Set())

/** The cell that others are compared with: the chosen one, if it is shown. */
export const referenceCell = computed(() =>
  shownCells.value.includes(reference.value) ? reference.value : (shownCells.value[0] ?? 0),
)

/** The cells in the table's order: the reference first. */
export const tableCells = computed(() => [
  referenceCell.value,
  ...shownCells.value.filter((cell) => cell !== referenceCell.value),
])

export const hasRepeats = computed(() => slotsOf.value.some((slots) => slots.length > 1))

export function activate(index: number): void {
  active.value = Math.min(Math.max(0, index), Math.max(0, matching.peek().length - 1))
}

export function openActive(): void {
  const row = matching.peek()[active.peek()]
  if (row !== undefined) openRow.value = row
}

export function toggleExpanded(row: number): void {
  if (!hasRepeats.peek()) return
  const rows = new Set(expanded.peek())
  if (!rows.delete(row)) rows.add(row)
  expanded.value = rows
}

export function cellColour(cell: number): string {
  return `var(--cell-${cell % 8})`
}
