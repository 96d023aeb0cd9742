/** Which errors came when. */
import { type Columns, ERROR, TIMEOUT } from '../data/columns'
import type { Picked } from './picked'
import type { Timeline } from './timeline'

export interface ErrorSeries {
  /** Index into the manifest's errors; -1 for all the rarer ones together. */
  type: number
  total: number
  /** By bin of the time. */
  counts: Uint32Array
}

/** Errors by type, the most frequent first, in bins of the time when they were given up. */
export function errorsOverTime(
  columns: Columns,
  { rows, slots }: Picked,
  timeline: Timeline,
  bins: number,
  most: number,
): ErrorSeries[] {
  const byType = new Map<number, Uint32Array>()
  const width = (timeline.length || 1) / bins
  for (const slot of slots) {
    for (const row of rows) {
      const at = slot * columns.rows + row
      const status = columns.status[at]
      if (status !== ERROR && status !== TIMEOUT) continue
      const type = columns.error[at] as number
      const time = timeline.place(columns.end[at] as number)
      const bin = Math.min(bins - 1, Math.max(0, Math.floor(time / width) || 0))
      const counts = byType.get(type) ?? new Uint32Array(bins)
      counts[bin] = (counts[bin] as number) + 1
      byType.set(type, counts)
    }
  }
  const all = [...byType].map(([type, counts]) => ({ type, counts, total: sum(counts) }))
  all.sort((a, b) => b.total - a.total || a.type - b.type)
  if (all.length <= most) return all
  const rest = all.splice(most - 1)
  const counts = new Uint32Array(bins).map((_, bin) =>
    rest.reduce((count, series) => count + (series.counts[bin] as number), 0),
  )
  return [...all, { type: -1, counts, total: sum(counts) }]
}

/** Heights of bars that stand on each other, the lowest first. */
export function stacked(series: readonly Uint32Array[]): Uint32Array[] {
  const found: Uint32Array[] = []
  for (const counts of series) {
    const below = found.at(-1)
    found.push(counts.map((count, bin) => count + (below?.[bin] ?? 0)))
  }
  return found
}

function sum(counts: Uint32Array): number {
  return counts.reduce((all, count) => all + count, 0)
}
