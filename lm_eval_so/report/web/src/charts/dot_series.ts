/** Dots of a cell, and what is said of one. */

import type uPlot from 'uplot'
import { cellName } from '../cell_names'
import { board } from '../state'
import { cellColour } from './colours'
import { dotPaths } from './shapes'

/** See-through, so that many dots at one place look like many. */
const OPACITY = 'b3'

export function dotSeries(cell: number): uPlot.Series {
  return {
    fill: `${cellColour(cell)}${OPACITY}`,
    width: 0,
    paths: dotPaths(cell),
    points: { show: false },
  }
}

/** The sample and the cell of a dot. */
export function named(row: number, slot: number): string {
  const shown = board.value
  if (!shown) return ''
  const { cells, slots } = shown.manifest
  const { cell, repeat } = slots[slot] ?? { cell: 0, repeat: 0 }
  const repeated = slots.some((other) => other.repeat > 0) ? ` #${repeat + 1}` : ''
  const name = cells.length > 1 ? `\n${cellName(cell)}` : ''
  return `${shown.ids[row]}${repeated}${name}`
}
