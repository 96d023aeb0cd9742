/** The two cells that are compared, and what came of each sample. */
import { computed, signal } from '@preact/signals'
import type { Numbers } from '../data/columns'
import { board, reference, slotsOf } from '../state'
import { rowsShown } from '../views/shown'
import { CHANGES, type Change, changes, pairsOf } from './changes'
import { type Paired, paired } from './statistics'

const chosenAfter = signal(1)

export const before = reference

/** Another cell than the one before. */
export const after = computed(() => {
  const count = board.value?.manifest.cells.length ?? 0
  if (chosenAfter.value !== before.value && chosenAfter.value < count) return chosenAfter.value
  return before.value === 0 ? 1 : 0
})

export function chooseAfter(cell: number): void {
  if (cell === before.value) swap()
  else chosenAfter.value = cell
}

export function chooseBefore(cell: number): void {
  if (cell === after.value) swap()
  else before.value = cell
}

export function swap(): void {
  const was = before.value
  before.value = after.value
  chosenAfter.value = was
}

const sides = computed(
  () => [slotsOf.value[before.value] ?? [], slotsOf.value[after.value] ?? []] as const,
)

const chosenList = signal<Change | null>(null)

export function openList(kind: Change): void {
  chosenList.value = kind
}

/** The list that is open: the one chosen, else the first that has a sample. */
export const list = computed<Change>(() => {
  const found = lists.value
  const first = CHANGES.find((kind) => (found?.[kind].length ?? 0) > 0)
  return chosenList.value ?? first ?? 'changed'
})

/** Rows of each kind of change, of those that are shown. */
export const lists = computed(() => {
  const columns = board.value?.columns
  return columns ? changes(columns, rowsShown.value, ...sides.value) : null
})

export interface Difference extends Paired {
  name: string
  isScore: boolean
}

const MEASURES = ['latency', 'first', 'output', 'length', 'cost'] as const

/** Paired differences of the scores, then of what is measured anyway; those that have a sample. */
export const differences = computed<Difference[]>(() => {
  const columns = board.value?.columns
  if (!columns) return []
  const of = (name: string, values: Numbers, isScore: boolean) => {
    const measure = { values, ofFailed: isScore }
    const pairs = pairsOf(columns, measure, rowsShown.value, sides.value)
    return { name, isScore, ...paired(pairs.before, pairs.after) }
  }
  return [
    ...[...columns.scores].map(([name, values]) => of(name, values, true)),
    ...MEASURES.map((name) => of(name, columns[name], false)),
  ].filter(({ count }) => count > 0)
})
