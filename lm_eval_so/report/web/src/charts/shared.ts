/** What several charts compute from, once for each board and filter. */
import { computed, signal } from '@preact/signals'
import { board, shownCells, shownSlots, slotsOf } from '../state'
import { allRows, rowsShown } from '../views/shown'
import { sorted } from './distribution'
import { latencyByTokens, latencyOverTime } from './gather'
import { answered, type Picked } from './picked'
import { inFlight, limitOverTime, spansOf, timelineOf } from './timeline'

/** Bins of the time axis, a few pixels each. */
export const BINS = 240

const columns = computed(() => board.value?.columns)

function ofSlots(slots: readonly number[]): Picked {
  return { rows: rowsShown.value, slots }
}

/** Results of the cells shown and of the rows shown. */
export const picked = computed(() => ofSlots(shownSlots.value))

/** Of the cells shown, whatever is filtered: the axis stays where it is. */
export const timeline = computed(() => {
  const all = columns.value
  const none = { starts: new Float64Array(0), ends: new Float64Array(0) }
  return timelineOf(all ? spansOf(all, { rows: allRows.value, slots: shownSlots.value }) : none)
})

/** What of the time axis is shown, in seconds; null: all. */
export const zoom = signal<readonly [number, number] | null>(null)

/** For each cell shown. */
export const overTime = computed(() => {
  const all = columns.value
  if (!all) return []
  return shownCells.value.map((cell) =>
    latencyOverTime(all, ofSlots(slotsOf.value[cell] ?? []), timeline.value),
  )
})

export const byTokens = computed(() => {
  const all = columns.value
  if (!all) return []
  return shownCells.value.map((cell) => latencyByTokens(all, ofSlots(slotsOf.value[cell] ?? [])))
})

/** Requests in flight, and the limit, in each bin, for each cell shown; of all rows. */
export const flights = computed(() => {
  const shown = board.value
  if (!shown) return []
  const begin = Date.parse(shown.manifest.started_at ?? '')
  return shownCells.value.map((cell) => {
    const { concurrency_history: history, started_at } = shown.manifest.cells[cell] ?? {}
    const slots = slotsOf.value[cell] ?? []
    const spans = spansOf(shown.columns, { rows: allRows.value, slots })
    const from = (Date.parse(started_at ?? '') - begin) / 1000
    return {
      cell,
      running: inFlight(spans, timeline.value, BINS),
      limit: limitOverTime(history ?? [], from, timeline.value, BINS),
    }
  })
})

export const MEASURES = ['latency', 'first', 'output', 'length', 'cost'] as const
export type Measure = (typeof MEASURES)[number]
export const measure = signal<Measure>('latency')

/** Values of the measure in order, for each cell shown. */
export const measured = computed(() => {
  const all = columns.value
  if (!all) return []
  return shownCells.value.map((cell) =>
    sorted(answered(all, all[measure.value], ofSlots(slotsOf.value[cell] ?? []))),
  )
})
