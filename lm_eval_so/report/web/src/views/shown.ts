/** The samples that the views compute over. */
import { computed } from '@preact/signals'
import { everyRow } from '../charts/picked'
import { matching } from '../filters/matching'
import { count } from '../format'
import { board } from '../state'
import { tn } from './plural'

/** Every row of the page, whatever is filtered. */
export const allRows = computed(() => everyRow(board.value?.columns.rows ?? 0))

/** The rows that pass the filters, in the order of the dataset or as sorted. */
export const rowsShown = matching

/** "over the 123 samples shown", or over all. */
export const overWhat = computed(() => {
  const [shown, all] = [rowsShown.value.length, allRows.value.length]
  const words = shown === all ? 'over.all' : 'over.shown'
  return tn(words, shown, { all: count(all) })
})
