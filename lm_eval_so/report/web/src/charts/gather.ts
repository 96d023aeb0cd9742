/** Dots and their tables, gathered from the columns. */
import type { Columns } from '../data/columns'
import { OK } from '../data/columns'
import { type Distribution, distribution } from './distribution'
import { type Dots, plottable, thinned } from './dots'
import type { Picked } from './picked'
import type { Timeline } from './timeline'

function dotsOf(
  columns: Columns,
  { rows, slots }: Picked,
  x: (at: number) => number,
  wanted: (status: number) => boolean,
): Dots {
  const count = rows.length * slots.length
  const dots: Dots = {
    x: new Float64Array(count),
    y: new Float64Array(count),
    row: new Uint32Array(count),
    slot: new Uint32Array(count),
  }
  let n = 0
  for (const slot of slots) {
    for (const row of rows) {
      const at = slot * columns.rows + row
      if (!wanted(columns.status[at] as number)) continue
      dots.x[n] = x(at)
      dots.y[n] = columns.latency[at] as number
      dots.row[n] = row
      dots.slot[n++] = slot
    }
  }
  return {
    x: dots.x.subarray(0, n),
    y: dots.y.subarray(0, n),
    row: dots.row.subarray(0, n),
    slot: dots.slot.subarray(0, n),
  }
}

/** Latency (ms) of the results by the time (s) when they were done; failed ones too. */
export function latencyOverTime(columns: Columns, picked: Picked, timeline: Timeline): Dots {
  const x = (at: number) => timeline.place(columns.end[at] as number)
  return plottable(
    dotsOf(columns, picked, x, (status) => status !== 0),
    false,
    true,
  )
}

/** Latency (ms) of the answers by their output tokens. */
export function latencyByTokens(columns: Columns, picked: Picked): Dots {
  const x = (at: number) => columns.output[at] as number
  return plottable(
    dotsOf(columns, picked, x, (status) => status === OK),
    true,
    true,
  )
}

/** One table of several sets of dots for uPlot: x of all in order, and y of each set or null. */
export interface Joined {
  x: number[]
  y: (number | null)[][]
  row: number[]
  slot: number[]
}

export function joined(sets: readonly Dots[], logX: boolean, logY: boolean): Joined {
  const all = sets.flatMap((dots, set) => {
    const few = thinned(dots, logX, logY, sets.length)
    return [...few.x].map((x, i) => ({ x, set, y: few.y[i], row: few.row[i], slot: few.slot[i] }))
  })
  all.sort((a, b) => a.x - b.x)
  return {
    x: all.map(({ x }) => x),
    y: sets.map((_, set) => all.map((dot) => (dot.set === set ? (dot.y as number) : null))),
    row: all.map(({ row }) => row as number),
    slot: all.map(({ slot }) => slot as number),
  }
}

export interface Bin {
  from: number
  to: number
  latency: Distribution | null
}

/** Latencies by bins of x between the bounds given; the last bound belongs to the last bin. */
export function binned(dots: Dots, bounds: readonly number[]): Bin[] {
  const values: number[][] = bounds.slice(1).map(() => [])
  dots.x.forEach((x, i) => {
    let bin = 0
    while (bin < values.length - 1 && x >= (bounds[bin + 1] as number)) bin++
    values[bin]?.push(dots.y[i] as number)
  })
  return values.map((found, bin) => ({
    from: bounds[bin] as number,
    to: bounds[bin + 1] as number,
    latency: distribution(Float64Array.from(found).sort()),
  }))
}

/** `count` bins of about as many values each, as bounds; fewer where values repeat. */
export function quantileBounds(values: Float64Array, count: number): number[] {
  const inOrder = values.slice().sort()
  if (inOrder.length === 0) return []
  const bounds = Array.from(
    { length: count + 1 },
    (_, i) => inOrder[Math.round((i * (inOrder.length - 1)) / count)] as number,
  )
  const distinct = [...new Set(bounds)]
  return distinct.length > 1 ? distinct : [...distinct, ...distinct]
}
