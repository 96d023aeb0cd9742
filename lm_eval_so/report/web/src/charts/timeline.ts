/** When a run worked: time without the pauses between one command and the next. */
import type { Columns } from '../data/columns'
import type { Picked } from './picked'

/** A pause is cut out of the axis if it is longer than this, in seconds, ... */
const SHORTEST_CUT = 60
/** ... and than this share of the time that was worked. */
const SHARE_CUT = 0.1

export interface Pause {
  /** Where on the axis, in seconds. */
  at: number
  seconds: number
}

export interface Timeline {
  /** Seconds of the axis. */
  length: number
  pauses: Pause[]
  /** Seconds with at least one request under way. */
  busy: number
  /** The place on the axis of a time in seconds since the board's start. */
  place(time: number): number
}

export interface Spans {
  starts: Float64Array
  ends: Float64Array
}

/** When the results were begun and done, in seconds; those that do not tell are left out. */
export function spansOf(columns: Columns, { rows, slots }: Picked): Spans {
  const starts = new Float64Array(rows.length * slots.length)
  const ends = new Float64Array(starts.length)
  let count = 0
  for (const slot of slots) {
    for (const row of rows) {
      const at = slot * columns.rows + row
      const start = columns.start[at] as number
      const end = columns.end[at] as number
      if (columns.status[at] === 0 || Number.isNaN(start) || Number.isNaN(end)) continue
      starts[count] = start
      ends[count++] = Math.max(start, end)
    }
  }
  return { starts: starts.subarray(0, count), ends: ends.subarray(0, count) }
}

/** Times at which something was under way, from the earliest. */
function stretches(spans: Spans): [number, number][] {
  const starts = spans.starts.slice().sort()
  const ends = spans.ends.slice().sort()
  const found: [number, number][] = []
  let from = starts[0] ?? 0
  // After `done` ends nothing runs if only as many have begun: the next begins a new stretch.
  for (let done = 1; done <= ends.length; done++) {
    const end = ends[done - 1] as number
    const next = starts[done] ?? Infinity
    if (next <= end) continue
    found.push([from, end])
    from = next
  }
  return found
}

export function timelineOf(spans: Spans): Timeline {
  const work = stretches(spans)
  const busy = work.reduce((sum, [start, end]) => sum + end - start, 0)
  const cut = Math.max(SHORTEST_CUT, SHARE_CUT * busy)
  const origin = work[0]?.[0] ?? 0
  const pauses: Pause[] = []
  /** From which time on how much is taken away. */
  const shifts: { from: number; less: number }[] = [{ from: origin, less: origin }]
  for (let next = 1; next < work.length; next++) {
    const [before, after] = [work[next - 1] as [number, number], work[next] as [number, number]]
    const seconds = after[0] - before[1]
    const less = shifts.at(-1)?.less ?? 0
    if (seconds <= cut) continue
    pauses.push({ at: before[1] - less, seconds })
    shifts.push({ from: after[0], less: less + seconds })
  }
  const place = (time: number): number => {
    let index = shifts.length - 1
    while (index > 0 && time < (shifts[index]?.from ?? 0)) index--
    const next = shifts[index + 1]
    const shift = shifts[index] as { from: number; less: number }
    // A time within a pause stands where the pause does.
    const latest = next ? next.from - next.less : Infinity
    return Math.min(time - shift.less, latest)
  }
  const last = work.reduce((latest, [, end]) => Math.max(latest, end), origin)
  return { length: place(last), pauses, busy, place }
}

/** `count` equally wide bins of the axis: where each begins. */
export function binsOf(timeline: Timeline, count: number): Float64Array {
  const width = (timeline.length || 1) / count
  return Float64Array.from({ length: count }, (_, bin) => bin * width)
}

/** The most requests that were under way at once in each bin; pauses between attempts included. */
export function inFlight(spans: Spans, timeline: Timeline, bins: number): Uint32Array {
  const starts = spans.starts.map(timeline.place).sort()
  const ends = spans.ends.map(timeline.place).sort()
  const most = new Uint32Array(bins)
  const width = (timeline.length || 1) / bins
  const binAt = (time: number) => Math.min(bins - 1, Math.max(0, Math.floor(time / width)))
  let running = 0
  let bin = 0
  const note = () => {
    most[bin] = Math.max(most[bin] as number, running)
  }
  const moveTo = (time: number) => {
    while (bin < binAt(time)) {
      bin++
      note()
    }
  }
  for (let s = 0, e = 0; e < ends.length; ) {
    const start = starts[s] ?? Infinity
    const end = ends[e] as number
    if (start < end || (start === end && running === 0)) {
      moveTo(start)
      running++
      s++
    } else {
      moveTo(end)
      running--
      e++
    }
    note()
  }
  return most
}

/** The limit at the end of each bin; NaN before it was first told. */
export function limitOverTime(
  history: readonly { at_s: number; limit: number }[],
  startedAt: number,
  timeline: Timeline,
  bins: number,
): Float64Array {
  const limits = new Float64Array(bins).fill(NaN)
  const width = (timeline.length || 1) / bins
  const steps = history.map((step) => ({
    at: timeline.place(startedAt + step.at_s),
    limit: step.limit,
  }))
  let next = 0
  let limit = NaN
  for (let bin = 0; bin < bins; bin++) {
    while (next < steps.length && (steps[next]?.at ?? 0) < (bin + 1) * width) {
      limit = steps[next++]?.limit ?? NaN
    }
    limits[bin] = limit
  }
  return limits
}
