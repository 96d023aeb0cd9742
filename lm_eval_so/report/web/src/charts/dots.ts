/** Results as dots: thinned out, so that a plot of 200,000 has no more dots than it has room for. */

/** Places that hold one dot each, of the plot of a single set: as many as dots beside each other. */
const COLUMNS = 180
const ROWS = 90
export const MOST_DOTS = COLUMNS * ROWS

export interface Dots {
  x: Float64Array
  y: Float64Array
  /** Which results, as (row, slot). */
  row: Uint32Array
  slot: Uint32Array
}

export function noDots(): Dots {
  const none = () => new Uint32Array(0)
  return { x: new Float64Array(0), y: new Float64Array(0), row: none(), slot: none() }
}

/** The dots whose x and y are known and, on a logarithmic axis, above 0. */
export function plottable(dots: Dots, logX: boolean, logY: boolean): Dots {
  const good = (value: number, log: boolean) => Number.isFinite(value) && (!log || value > 0)
  const kept: number[] = []
  for (let i = 0; i < dots.x.length; i++) {
    if (good(dots.x[i] as number, logX) && good(dots.y[i] as number, logY)) kept.push(i)
  }
  return taken(dots, kept)
}

/**
 * One dot for all that stand at the same place of a grid, so outliers stay, sorted by x.
 * Which of them is kept depends on the order alone. Several sets share the places of one plot.
 */
export function thinned(dots: Dots, logX: boolean, logY: boolean, sets = 1): Dots {
  const columns = Math.ceil(COLUMNS / Math.sqrt(sets))
  const lines = Math.ceil(ROWS / Math.sqrt(sets))
  const place = (values: Float64Array, log: boolean, cells: number) => {
    const at = (value: number) => (log ? Math.log(value) : value)
    let least = Infinity
    let most = -Infinity
    for (const value of values) {
      least = Math.min(least, at(value))
      most = Math.max(most, at(value))
    }
    const scale = most > least ? (cells - 1) / (most - least) : 0
    return (value: number) => Math.round((at(value) - least) * scale)
  }
  const column = place(dots.x, logX, columns)
  const line = place(dots.y, logY, lines)
  const seen = new Uint8Array(columns * lines)
  const kept: number[] = []
  for (let i = 0; i < dots.x.length; i++) {
    const at = line(dots.y[i] as number) * columns + column(dots.x[i] as number)
    if (seen[at] === 1) continue
    seen[at] = 1
    kept.push(i)
  }
  kept.sort((a, b) => (dots.x[a] as number) - (dots.x[b] as number))
  return taken(dots, kept)
}

function taken(dots: Dots, kept: readonly number[]): Dots {
  return {
    x: Float64Array.from(kept, (i) => dots.x[i] as number),
    y: Float64Array.from(kept, (i) => dots.y[i] as number),
    row: Uint32Array.from(kept, (i) => dots.row[i] as number),
    slot: Uint32Array.from(kept, (i) => dots.slot[i] as number),
  }
}
