/** Axes and scales that all charts share. */
import type uPlot from 'uplot'
import { colour } from './colours'

/** Width of the axis on the left, the same for all, so that time axes stand below each other. */
const LEFT = 78
const FONT = '12px system-ui, sans-serif'

type Write = (value: number) => string

function axis(label: string, write: Write): uPlot.Axis {
  return {
    label,
    labelSize: 20,
    labelFont: FONT,
    font: FONT,
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line-strong'), width: 1, size: 4 },
    values: (_, splits) => splits.map((value) => (value === null ? '' : write(value))),
  }
}

export function bottom(label: string, write: Write): uPlot.Axis {
  return { ...axis(label, write), space: 70, size: 30 }
}

export function left(label: string, write: Write): uPlot.Axis {
  return { ...axis(label, write), size: LEFT - 20, space: 22 }
}

/** Ticks at 1, 2 and 5 of each power of ten; at the powers alone where more find no room. */
export function logTicks(from: number, to: number, most: number): number[] {
  const first = Math.floor(Math.log10(from))
  const last = Math.ceil(Math.log10(to))
  const steps = 3 * Math.log10(to / from) > most ? [1] : [1, 2, 5]
  const ticks: number[] = []
  for (let power = first; power <= last; power++) {
    for (const step of steps) {
      const tick = Number(`${step}e${power}`)
      if (tick >= from * 0.999 && tick <= to * 1.001) ticks.push(tick)
    }
  }
  return ticks
}

/** Makes the ticks of an axis those of `logTicks`. */
export function logarithmic(of: uPlot.Axis): uPlot.Axis {
  const splits: uPlot.Axis.Splits = (u, index, from, to, _, space) => {
    const pixels = (index === 0 ? u.bbox.width : u.bbox.height) / devicePixelRatio
    return logTicks(from, to, pixels / space)
  }
  return { ...of, splits, filter: (_, ticks) => ticks }
}

/** A logarithmic scale with a little room at both ends. */
export const LOG: uPlot.Scale = {
  time: false,
  distr: 3,
  range: (_, from, to) => [(from || 1) / 1.15, (to || 10) * 1.15],
}

/** A scale of counts: from 0, with room above; at least up to 1. */
export const COUNTS: uPlot.Scale = {
  time: false,
  range: (_, __, to) => [0, Math.max(1, (to ?? 1) * 1.08)],
}

export interface Range {
  from: number
  to: number
}

/** A scale that shows the range it is told, whatever data there is. */
export function fixed(range: () => Range): uPlot.Scale {
  return {
    time: false,
    range: () => {
      const { from, to } = range()
      return [from, to]
    },
  }
}
