/** Figures of the cells, computed once for each board. */
import { computed } from '@preact/signals'
import { sharedBins } from '../charts/distribution'
import { board, slotsOf } from '../state'
import { figuresFromSummary, figuresOf } from './figures'
import { allRows } from './shown'
import { workedFor } from './totals'

const BARS = 32

export const figures = computed(() => {
  const shown = board.value
  if (!shown) return []
  return shown.manifest.cells.map((cell, index) =>
    shown.manifest.sampled && cell.summary
      ? figuresFromSummary(cell)
      : figuresOf(shown.columns, slotsOf.value[index] ?? []),
  )
})

/** One axis for the latencies of all cells, so that their bars can be compared. */
export const latencyBins = computed(() =>
  sharedBins(
    figures.value.flatMap(({ latencies }) => (latencies ? [latencies] : [])),
    BARS,
  ),
)

export const seconds = computed(() => (board.value ? workedFor(board.value, allRows.value) : 0))
